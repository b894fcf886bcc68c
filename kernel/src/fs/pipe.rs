//! [`Pipe`]: pipes and FIFOs. The ring is in `kiln_core::fs::pipe`; here are its pages, the two
//! ends ([`PipeEnd`]) and the waiting.
//!
//! One sleeping lock serialises reads and writes, which copy while they hold it; the ring itself
//! is behind a spin lock, so that waiting and polling can look at it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use kiln_core::abi;
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::perm::Identity;
use kiln_core::fs::pipe::{Ring, Slot};

use super::anon::{PIPES, Plain};
use super::clock;
use super::file::{Events, File, FileOps, Ioctl, Watch};
use super::inode::Inode;
use super::memory::try_arc;
use crate::mm::frame::FrameRef;
use crate::sched::{Mode, Mutex, WaitQueue};
use crate::sync::SpinLock;
use crate::vm::{IoDst, IoSrc, alloc_frame};

/// A pipe.
pub(crate) struct Pipe {
    /// Held while bytes are copied.
    pub(super) busy: Mutex<()>,
    pub(super) ring: SpinLock<Ring<FrameRef>>,
    readers: AtomicU32,
    writers: AtomicU32,
    /// Openings for reading and writing ever, so that a FIFO's opener sees one that has gone.
    read_opens: AtomicU32,
    write_opens: AtomicU32,
    /// For something to read, or the last writer's going.
    pub(super) filled: Arc<WaitQueue>,
    /// For room, or the last reader's going.
    pub(super) drained: Arc<WaitQueue>,
    /// A page used before, so that a small pipe needs no allocation.
    spare: SpinLock<Option<FrameRef>>,
}

impl Pipe {
    /// An empty pipe without ends.
    pub(crate) fn new() -> Result<Arc<Self>, Errno> {
        let filled = try_arc(WaitQueue::new())?;
        let drained = try_arc(WaitQueue::new())?;
        try_arc(Self {
            busy: Mutex::new(()),
            ring: SpinLock::new(Ring::new()),
            readers: AtomicU32::new(0),
            writers: AtomicU32::new(0),
            read_opens: AtomicU32::new(0),
            write_opens: AtomicU32::new(0),
            filled,
            drained,
            spare: SpinLock::new(None),
        })
    }

    pub(super) fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Acquire) != 0
    }

    pub(super) fn has_writers(&self) -> bool {
        self.writers.load(Ordering::Acquire) != 0
    }

    fn page(&self) -> Result<FrameRef, Errno> {
        let spare = self.spare.lock().take();
        match spare {
            Some(page) => Ok(page),
            None => alloc_frame().map_err(|_| Errno::ENOMEM),
        }
    }

    /// Keeps a page for the next write, when nobody else has it.
    pub(super) fn recycle(&self, page: FrameRef) {
        if page.count() == 1 {
            let old = self.spare.lock().replace(page);
            drop(old);
        }
    }

    /// Waits until there is something to read; `false` at the end.
    pub(super) fn wait_filled(&self, nonblocking: bool) -> Result<bool, Errno> {
        let state = || match (self.ring.lock().is_empty(), self.has_writers()) {
            (false, _) => Some(true),
            (true, false) => Some(false),
            (true, true) => None,
        };
        if nonblocking {
            return state().ok_or(Errno::EAGAIN);
        }
        let waited = self.filled.wait(Mode::Interruptible, None, state);
        waited.map_err(|_| Errno::ERESTARTSYS)
    }

    /// Waits until a write of `len` bytes can begin; EPIPE when nobody will read it.
    pub(super) fn wait_drained(&self, len: usize, nonblocking: bool) -> Result<(), Errno> {
        let state = || match (self.has_readers(), self.ring.lock().can_write(len)) {
            (false, _) => Some(Err(Errno::EPIPE)),
            (true, true) => Some(Ok(())),
            (true, false) => None,
        };
        if nonblocking {
            return state().unwrap_or(Err(Errno::EAGAIN));
        }
        match self.drained.wait(Mode::Interruptible, None, state) {
            Ok(result) => result,
            Err(_) => Err(Errno::ERESTARTSYS),
        }
    }

    /// Reads what there is, waiting for the first byte.
    fn read(&self, dst: &mut IoDst<'_>, nonblocking: bool) -> Result<usize, Errno> {
        if dst.remaining() == 0 {
            return Ok(0);
        }
        loop {
            let guard = self.busy.lock();
            let done = self.drain(dst);
            drop(guard);
            match done {
                Ok(0) => {}
                done => return done,
            }
            if !self.wait_filled(nonblocking)? {
                return Ok(0);
            }
        }
    }

    /// Moves what there is to `dst`; the lock is held.
    fn drain(&self, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let was_full = self.ring.lock().is_full();
        let mut done = 0;
        let mut failed = None;
        while dst.remaining() > 0 {
            let first = self.ring.lock().first().cloned();
            let Some(slot) = first else { break };
            let wanted = slot.len.min(dst.remaining());
            match dst.put_frame(&slot.page, slot.offset, slot.len) {
                // As on Linux a page's part goes as a whole or not at all.
                Ok(count) if count < wanted => {
                    failed = Some(Errno::EFAULT);
                    break;
                }
                Ok(count) => {
                    done += count;
                    drop(slot.page);
                    let freed = self.ring.lock().consume(count);
                    if let Some(page) = freed {
                        self.recycle(page);
                    }
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        self.after_reading(was_full);
        match failed {
            Some(error) if done == 0 => Err(error),
            _ => Ok(done),
        }
    }

    /// Wakes those who wait for what a read has changed.
    pub(super) fn after_reading(&self, was_full: bool) {
        let (empty, full) = {
            let ring = self.ring.lock();
            (ring.is_empty(), ring.is_full())
        };
        if was_full && !full {
            self.drained.wake_one();
        }
        if !empty {
            self.filled.wake_one();
        }
    }

    /// Writes everything, waiting for room as often as it takes; what is at most `PIPE_BUF`
    /// bytes goes in at once.
    fn write(&self, src: &mut IoSrc<'_>, nonblocking: bool, packets: bool) -> Result<usize, Errno> {
        let total = src.remaining();
        let mut done = 0;
        while src.remaining() > 0 {
            let waited = self.wait_drained(src.remaining(), nonblocking);
            let guard = self.busy.lock();
            let step = waited.and_then(|()| self.fill(src, packets));
            drop(guard);
            match step {
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        debug_assert!(done <= total, "no more than there was");
        Ok(done)
    }

    /// Puts in what fits; the lock is held.
    fn fill(&self, src: &mut IoSrc<'_>, packets: bool) -> Result<usize, Errno> {
        if !self.has_readers() {
            return Err(Errno::EPIPE);
        }
        if !self.ring.lock().can_write(src.remaining()) {
            return Ok(0);
        }
        let mut done = if packets { 0 } else { self.top_up(src)? };
        while src.remaining() > 0 && !self.ring.lock().is_full() {
            match self.add_page(src, !packets) {
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        self.after_writing();
        Ok(done)
    }

    /// Wakes those who wait for what a write has changed.
    pub(super) fn after_writing(&self) {
        let (empty, full) = {
            let ring = self.ring.lock();
            (ring.is_empty(), ring.is_full())
        };
        if !empty {
            self.filled.wake_one();
        }
        if !full {
            self.drained.wake_one();
        }
    }

    /// Puts the odd bytes behind the last page's, where they fit.
    fn top_up(&self, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let (page, at, room) = {
            let ring = self.ring.lock();
            let room = ring.room_in_last(src.remaining());
            match ring.last() {
                Some((page, at)) if room > 0 => (page.clone(), at, room),
                _ => return Ok(0),
            }
        };
        let done = src.take_into_frame(&page, at, room)?;
        drop(page);
        if done < room {
            return Err(Errno::EFAULT);
        }
        self.ring.lock().extend_last(done);
        Ok(done)
    }

    fn add_page(&self, src: &mut IoSrc<'_>, open: bool) -> Result<usize, Errno> {
        let page = self.page()?;
        let wanted = src.remaining().min(PAGE_SIZE);
        let done = match src.take_into_frame(&page, 0, PAGE_SIZE) {
            Ok(done) if done == wanted => done,
            _ => {
                self.recycle(page);
                return Err(Errno::EFAULT);
            }
        };
        let slot = Slot {
            page,
            offset: 0,
            len: done,
            open,
        };
        let pushed = self.ring.lock().push(slot);
        pushed.map_err(|_| Errno::ENOMEM)?;
        Ok(done)
    }

    /// `F_SETPIPE_SZ`.
    pub(crate) fn resize(&self, bytes: usize) -> Result<u64, Errno> {
        let _guard = self.busy.lock();
        let resized = self.ring.lock().resize(bytes);
        let size = resized.map_err(|_| Errno::EBUSY)?;
        self.drained.wake_all();
        Ok(kiln_core::num::u64_of(size))
    }

    /// `F_GETPIPE_SZ`.
    pub(crate) fn capacity(&self) -> u64 {
        kiln_core::num::u64_of(self.ring.lock().capacity())
    }

    fn open_end(self: &Arc<Self>, reads: bool, writes: bool) -> Result<Arc<PipeEnd>, Errno> {
        let end = try_arc(PipeEnd {
            pipe: Arc::clone(self),
            reads,
            writes,
        })?;
        if reads {
            self.readers.fetch_add(1, Ordering::AcqRel);
            self.read_opens.fetch_add(1, Ordering::AcqRel);
            self.drained.wake_all();
        }
        if writes {
            self.writers.fetch_add(1, Ordering::AcqRel);
            self.write_opens.fetch_add(1, Ordering::AcqRel);
            self.filled.wake_all();
        }
        Ok(end)
    }
}

/// An end of a pipe; it counts itself out when it goes.
struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let pipe = &self.pipe;
        if self.reads {
            pipe.readers.fetch_sub(1, Ordering::AcqRel);
        }
        if self.writes {
            pipe.writers.fetch_sub(1, Ordering::AcqRel);
        }
        pipe.filled.wake_all();
        pipe.drained.wake_all();
    }
}

impl FileOps for PipeEnd {
    fn read(&self, file: &File, dst: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        self.pipe.read(dst, file.nonblocking())
    }

    fn write(&self, file: &File, src: &mut IoSrc<'_>, _: &mut u64) -> Result<usize, Errno> {
        let packets = file.has(abi::O_DIRECT);
        self.pipe.write(src, file.nonblocking(), packets)
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn ioctl(&self, _: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        if request.command != linux_raw_sys::ioctl::FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let bytes = self.pipe.ring.lock().len();
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        let to = kiln_core::addr::UserAddr::new(request.arg);
        request.space.copy_out(to, &bytes.to_le_bytes())?;
        Ok(0)
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn Watch>) -> Events {
        if let Some(watch) = watch {
            if self.reads {
                watch.add(&self.pipe.filled);
            }
            if self.writes {
                watch.add(&self.pipe.drained);
            }
        }
        let (empty, full) = {
            let ring = self.pipe.ring.lock();
            (ring.is_empty(), ring.is_full())
        };
        let mut events = Events::empty();
        if self.reads {
            events.set(Events::READABLE, !empty);
            let seen_writer = self.pipe.write_opens.load(Ordering::Relaxed) != 0;
            events.set(Events::HUP, !self.pipe.has_writers() && seen_writer);
        }
        if self.writes {
            events.set(Events::WRITABLE, !full);
            events.set(Events::ERR, !self.pipe.has_readers());
        }
        events
    }

    fn pipe(&self) -> Option<&Arc<Pipe>> {
        Some(&self.pipe)
    }
}

/// Makes a pipe: the end to read from and the end to write to.
pub(crate) fn create(who: &Identity<'_>, flags: u32) -> Result<(Arc<File>, Arc<File>), Errno> {
    let pipe = Pipe::new()?;
    let mut attr = Attr::new(FileType::Fifo, 0o600, who.uid, who.gid, clock::now());
    attr.nlink = 1;
    let inode = PIPES.inode(attr, None, try_arc(Plain)?)?;
    inode.share_pipe(Arc::clone(&pipe));
    let name = alloc::format!("pipe:[{}]", inode.ino());
    let path = PIPES.path(inode, name.as_bytes())?;
    let kept = flags & (abi::O_NONBLOCK | abi::O_DIRECT);
    let end = |reads: bool, raw: u32| {
        let ops = pipe.open_end(reads, !reads)?;
        File::new(path.clone(), ops, OpenFlags { raw, mode: 0 })
    };
    Ok((
        end(true, abi::O_RDONLY | kept)?,
        end(false, abi::O_WRONLY | kept)?,
    ))
}

/// Opens a FIFO, waiting for the other side as fifo(7) says.
pub(crate) fn open(inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
    let pipe = inode.share_pipe(Pipe::new()?);
    let nonblocking = flags.has(abi::O_NONBLOCK);
    let (reads, writes) = (flags.reads(), flags.writes());
    if writes && !reads && nonblocking && !pipe.has_readers() {
        return Err(Errno::ENXIO);
    }
    let (reads_before, writes_before) = (
        pipe.read_opens.load(Ordering::Acquire),
        pipe.write_opens.load(Ordering::Acquire),
    );
    let end = pipe.open_end(reads, writes)?;
    let waited = match (reads, writes) {
        (true, false) if !nonblocking => pipe.filled.wait(Mode::Interruptible, None, || {
            let came = pipe.write_opens.load(Ordering::Acquire) != writes_before;
            (came || pipe.has_writers()).then_some(())
        }),
        (false, true) => pipe.drained.wait(Mode::Interruptible, None, || {
            let came = pipe.read_opens.load(Ordering::Acquire) != reads_before;
            (came || pipe.has_readers()).then_some(())
        }),
        _ => Ok(()),
    };
    waited.map_err(|_| Errno::ERESTARTSYS)?;
    Ok(end)
}
