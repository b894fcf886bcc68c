//! [`Pages`]: a file's pages on the disk. Data doesn't pass through the core: that says where the
//! blocks lie, and the frames go there and come from there themselves.
//!
//! Blocks are allocated when pages are written back, many at once, and only promised when a page
//! becomes dirty. Promises are taken from the core in growing portions ([`Promise`]), so that a
//! long write doesn't ask for each page.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::fs::ext4::{Error, Fill, Ino, Mapping as Extent, State};
use kiln_core::num::{low32, u64_of, usize_of};

use super::Volume;
use crate::drivers::block::{Memory, SECTOR_SIZE, Segment};
use crate::fs::memory::try_push;
use crate::mm::FrameRef;
use crate::sched::RwLock;
use crate::sync::{Once, SpinLock};
use crate::vm::{Mapping, PageSource};

/// Most pages promised in one portion: 4 MiB.
const PORTION: u64 = 1024;

/// Blocks that the core keeps free for dirty pages of one file.
#[derive(Clone, Copy, Default)]
struct Promise {
    /// Blocks promised.
    granted: u64,
    /// Of those, blocks that dirty pages count on.
    used: u64,
    /// Pages in the next portion.
    portion: u64,
}

/// A file's pages on the disk. Outlives the inode while pages are dirty.
pub(super) struct Pages {
    pub(super) volume: Arc<Volume>,
    pub(super) ino: Ino,
    /// The greatest size that the file can have.
    pub(super) limit: u64,
    /// Held for reading while data moves, for writing while blocks are freed: what was a file's
    /// block when a transfer began is that until it ends.
    pub(super) io: RwLock<()>,
    /// The file is deleted: nothing of it is written any more.
    dead: AtomicBool,
    promise: SpinLock<Promise>,
    /// No block lies at or behind this page, as far as is known without asking.
    bare: AtomicU64,
    mapping: Once<Weak<Mapping>>,
}

impl Pages {
    /// The pages of file `ino`, which has `size` bytes and may have `limit`.
    pub(super) fn new(volume: Arc<Volume>, ino: Ino, size: u64, limit: u64) -> Self {
        Self {
            volume,
            ino,
            limit,
            io: RwLock::new(()),
            dead: AtomicBool::new(false),
            promise: SpinLock::default(),
            bare: AtomicU64::new(size.div_ceil(u64_of(PAGE_SIZE))),
            mapping: Once::new(),
        }
    }

    pub(super) fn set_mapping(&self, mapping: &Arc<Mapping>) {
        self.mapping.call_once(|| Arc::downgrade(mapping));
    }

    pub(super) fn mapping(&self) -> Option<Arc<Mapping>> {
        self.mapping.get()?.upgrade()
    }

    pub(super) fn bury(&self) {
        self.dead.store(true, Ordering::Release);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Blocks have moved; none lies at or behind byte `end`.
    pub(super) fn shifted(&self, end: u64) {
        let page = end.div_ceil(u64_of(PAGE_SIZE));
        self.bare.fetch_max(page, Ordering::AcqRel);
    }

    fn blocks_per_page(&self) -> u64 {
        u64_of(PAGE_SIZE >> self.volume.block_bits)
    }

    /// Blocks that dirty pages count on, and the file doesn't have yet. Pages that were cut off don't count any more.
    pub(super) fn promised(&self) -> u64 {
        let dirty = (self.mapping()).map_or(0, |mapping| u64_of(mapping.dirty_pages()));
        let used = self.promise.lock().used;
        used.min(dirty * self.blocks_per_page())
    }

    /// Gives back what no dirty page counts on; all, when no page is dirty.
    pub(super) fn release_promise(&self) {
        let clean = self
            .mapping()
            .is_none_or(|mapping| mapping.dirty_pages() == 0);
        let spare = {
            let mut promise = self.promise.lock();
            if clean {
                promise.used = 0;
            }
            let spare = promise.granted.saturating_sub(promise.used);
            promise.granted -= spare;
            promise.portion = 0;
            spare
        };
        if spare > 0 {
            self.volume.core.lock().unreserve(spare);
        }
    }

    /// Drops what is in memory of a deleted file, and what was promised to it.
    pub(super) fn empty(&self) {
        if let Some(mapping) = self.mapping() {
            // Pages of a disk have no origin that could stand in the way.
            let _ = mapping.discard(0, u64::MAX);
        }
        self.release_promise();
    }

    /// Takes the blocks of one page from what is promised.
    fn take_promised(&self, blocks: u64) -> bool {
        let mut promise = self.promise.lock();
        let enough = promise.used + blocks <= promise.granted;
        if enough {
            promise.used += blocks;
        }
        enough
    }

    /// Has the core promise another portion, or just one page's blocks.
    fn enlarge_promise(&self, blocks: u64) -> Result<(), Error> {
        let portion = (self.promise.lock().portion * 2).clamp(1, PORTION);
        let mut core = self.volume.core.lock();
        let mut taken = portion * blocks;
        if core.reserve(taken).is_err() {
            taken = blocks;
            core.reserve(taken)?;
        }
        let mut promise = self.promise.lock();
        promise.granted += taken;
        promise.portion = portion;
        Ok(())
    }

    /// Whether the page's blocks are all there already.
    fn is_allocated(&self, index: u64) -> Result<bool, Errno> {
        let per = self.blocks_per_page();
        let most = low32(per);
        let Ok(block) = u32::try_from(index * per) else {
            return Err(Errno::EFBIG);
        };
        let extent = self
            .volume
            .core
            .lock()
            .map(self.ino, block, most)
            .map_err(Error::errno)?;
        Ok(extent.state != State::Hole && extent.length >= most)
    }

    /// Moves blocks `block..block + extent.length` of the file, whose frames from the file's block
    /// `base` on are `frames`.
    fn transfer(
        &self,
        extent: Extent,
        (block, base): (u64, u64),
        frames: &[FrameRef],
        write: bool,
    ) -> Result<(), Errno> {
        let bits = self.volume.block_bits;
        let sector = (extent.start << bits) / u64_of(SECTOR_SIZE);
        let from = usize_of((block - base) << bits);
        let length = usize_of(u64::from(extent.length) << bits);
        let disk = &self.volume.disk;
        let go = |memory: Memory<'_>| {
            if write {
                disk.write(sector, memory)
            } else {
                disk.read(sector, memory)
            }
        };
        let whole = from.is_multiple_of(PAGE_SIZE) && length.is_multiple_of(PAGE_SIZE);
        if whole {
            let frames = frames
                .get(from / PAGE_SIZE..(from + length) / PAGE_SIZE)
                .ok_or(Errno::EIO)?;
            return Ok(go(Memory::Frames(frames))?);
        }
        let mut segments = Vec::new();
        for_pieces(frames, from, length, |frame, offset, length| {
            try_push(&mut segments, Segment::new(frame, offset, length))
        })?;
        Ok(go(Memory::Segments(&segments))?)
    }
}

/// Calls `each` with the frame, offset and length of every piece of `length` bytes at `from`.
fn for_pieces<'a>(
    frames: &'a [FrameRef],
    from: usize,
    length: usize,
    mut each: impl FnMut(&'a FrameRef, usize, usize) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut at = from;
    let end = from + length;
    while at < end {
        let offset = at % PAGE_SIZE;
        let piece = (PAGE_SIZE - offset).min(end - at);
        let frame = frames.get(at / PAGE_SIZE).ok_or(Errno::EIO)?;
        each(frame, offset, piece)?;
        at += piece;
    }
    Ok(())
}

fn zero(frames: &[FrameRef], from: usize, length: usize) -> Result<(), Errno> {
    for_pieces(frames, from, length, |frame, offset, length| {
        frame.zero(offset, length);
        Ok(())
    })
}

impl PageSource for Pages {
    fn limit(&self) -> u64 {
        self.limit
    }

    fn seek(&self, from: u64, end: u64, data: bool) -> Result<u64, Errno> {
        let bits = self.volume.block_bits;
        let block = |at: u64| u32::try_from(at).map_err(|_| Errno::EFBIG);
        let (first, last) = (block(from >> bits)?, end.div_ceil(1 << bits));
        let last = block(last)?;
        let mut core = self.volume.core.lock();
        let found = core
            .seek(self.ino, first, last, data)
            .map_err(Error::errno)?;
        Ok((u64::from(found) << bits).max(from))
    }

    fn read_pages(&self, first: u64, frames: &[FrameRef]) -> Result<(), Errno> {
        let _io = self.io.read();
        let bits = self.volume.block_bits;
        let base = first * self.blocks_per_page();
        let end = base + u64_of(frames.len()) * self.blocks_per_page();
        let mut block = base;
        while block < end {
            let number = u32::try_from(block).map_err(|_| Errno::EFBIG)?;
            let most = low32(end - block);
            let extent = {
                let mut core = self.volume.core.lock();
                core.map(self.ino, number, most).map_err(Error::errno)?
            };
            if extent.state == State::Written {
                self.transfer(extent, (block, base), frames, false)?;
            } else {
                let length = usize_of(u64::from(extent.length) << bits);
                zero(frames, usize_of((block - base) << bits), length)?;
            }
            block += u64::from(extent.length);
        }
        let size = self.mapping().map_or(u64::MAX, |mapping| mapping.size());
        let from = usize_of(size.saturating_sub(first * u64_of(PAGE_SIZE)));
        let all = frames.len() * PAGE_SIZE;
        zero(frames, from, all.saturating_sub(from))
    }

    fn write_pages(&self, first: u64, frames: &[FrameRef]) -> Result<(), Errno> {
        let _io = self.io.read();
        if self.is_dead() {
            return Ok(());
        }
        let bits = self.volume.block_bits;
        let base = first * self.blocks_per_page();
        let size = self.mapping().map_or(u64::MAX, |mapping| mapping.size());
        let end = base + u64_of(frames.len()) * self.blocks_per_page();
        let end = end.min(size.div_ceil(1 << bits));
        let mut block = base;
        while block < end {
            let number = u32::try_from(block).map_err(|_| Errno::EFBIG)?;
            let most = low32(end - block);
            let move_data = |got: Extent| self.transfer(got, (block, base), frames, true);
            let (got, moved) = self.allocate(number, most, size, move_data)?;
            if !moved {
                move_data(got)?;
            }
            if got.state == State::Unwritten {
                let mut core = self.volume.core.lock();
                core.note_written(self.ino, number, got.length, size)
                    .map_err(Error::errno)?;
            }
            block += u64::from(got.length);
        }
        Ok(())
    }

    fn reserve(&self, first: u64, count: u64) -> Result<(), Errno> {
        let per = self.blocks_per_page();
        for index in first..first.saturating_add(count) {
            if index.saturating_mul(u64_of(PAGE_SIZE)) >= self.limit {
                return Err(Errno::EFBIG);
            }
            if index < self.bare.load(Ordering::Relaxed) && self.is_allocated(index)? {
                continue;
            }
            if self.take_promised(per) {
                continue;
            }
            self.volume.settle();
            if self.enlarge_promise(per).is_ok() && self.take_promised(per) {
                continue;
            }
            // Others may hold more than they need.
            self.volume.release_promises();
            self.enlarge_promise(per).map_err(Error::errno)?;
            self.take_promised(per);
        }
        Ok(())
    }
}

impl Pages {
    /// Where the blocks from `number` on lie, allocated if they were a hole. Those that become the
    /// file's at once have to get their data before the journal is committed: it is moved here,
    /// which the answer's second part says. (Files with extents have unwritten ones instead.)
    fn allocate(
        &self,
        number: u32,
        most: u32,
        size: u64,
        move_data: impl Fn(Extent) -> Result<(), Errno>,
    ) -> Result<(Extent, bool), Errno> {
        let mut core = self.volume.core.lock();
        let granted = self.promise.lock().granted;
        let got = core
            .allocate(self.ino, number, most, Fill::Promised { granted, size })
            .map_err(Error::errno)?;
        let now = got.new && got.mapping.state == State::Written && core.is_journalled();
        let moved = if now { move_data(got.mapping) } else { Ok(()) };
        drop(core);
        if got.new {
            let end = u64::from(number) + u64::from(got.mapping.length);
            let bare = end.div_ceil(self.blocks_per_page());
            self.bare.fetch_max(bare, Ordering::Relaxed);
            let kept = granted.min(u64::from(got.mapping.length));
            let mut promise = self.promise.lock();
            promise.granted -= kept;
            promise.used = promise.used.saturating_sub(kept);
        }
        moved?;
        Ok((got.mapping, now))
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let promise = self.promise.get_mut();
        self.volume.forget(self.ino, promise.granted);
    }
}
