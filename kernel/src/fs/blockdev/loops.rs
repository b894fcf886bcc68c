//! Loop devices: a [`Loop`] is a disk whose sectors are a file's bytes (loop(4)).
//!
//! None is there before one is asked for: by `/dev/loop-control`, or by opening a device file of its number.
//! [`control`] has the requests that give one a file. What it reads and writes goes through the file as a
//! program's reads and writes do, and flushing it makes the file durable. It counts its users (open device files,
//! mounts), of which the last may take the file along (`LO_FLAGS_AUTOCLEAR`).

mod control;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::loopdev::{self, AUTOCLEAR, READ_ONLY, Status};
use kiln_core::num::u64_of;

use super::{EXTENDED_MAJOR, Key, add_node, forget_parts, key, number};
use crate::arch::time;
use crate::drivers::block::{BlockDevice, Counters, DiskStats, IoError, Memory, SECTOR_SIZE};
use crate::fs::file::{File, FileOps};
use crate::fs::inode::Inode;
use crate::fs::memory::{try_arc, try_push, try_zeros};
use crate::fs::vfs;
use crate::sched;
use crate::sync::SpinLock;
use crate::vm::{IoDst, IoSrc};

pub(super) use control::ioctl;

/// `LOOP_MAJOR` (linux/major.h).
pub(super) const MAJOR: u32 = 7;
/// `MISC_MAJOR` (linux/major.h), `LOOP_CTRL_MINOR` (linux/miscdevice.h).
const CONTROL: (u32, u32) = (10, 237);

/// A disk that is a file.
pub(crate) struct Loop {
    number: u32,
    name: String,
    state: SpinLock<State>,
    users: AtomicUsize,
    counters: Counters,
}

/// What a loop device is at the time.
struct State {
    file: Option<Arc<File>>,
    status: Status,
    name: loopdev::Name,
    read_only: bool,
    block_size: u32,
    sectors: u64,
}

impl State {
    const FREE: Self = Self {
        file: None,
        status: Status {
            offset: 0,
            size_limit: 0,
            flags: 0,
        },
        name: [0; 8],
        read_only: false,
        block_size: 512,
        sectors: 0,
    };
}

static LOOPS: SpinLock<Vec<Arc<Loop>>> = SpinLock::new(Vec::new());

/// Opens what is reached by this room's own numbers: loop devices, partitions on them, and `/dev/loop-control`.
pub(in crate::fs) fn open_at(
    inode: &Arc<Inode>,
    flags: OpenFlags,
) -> Option<Result<Arc<dyn FileOps>, Errno>> {
    let number = inode.rdev();
    match (inode.kind(), number.major) {
        (FileType::BlockDevice, MAJOR | EXTENDED_MAJOR) => Some(super::open(inode, flags)),
        (FileType::CharDevice, _) if (number.major, number.minor) == CONTROL => {
            Some(control::open())
        }
        _ => None,
    }
}

/// The loop device of that number, if it is there.
pub(crate) fn find(number: u32) -> Option<Arc<Loop>> {
    let loops = LOOPS.lock();
    loops.iter().find(|one| one.number == number).cloned()
}

/// The first loop device from there on.
pub(crate) fn next(from: Key) -> Option<Key> {
    let loops = LOOPS.lock();
    let keys = loops.iter().map(|one| one.key());
    keys.filter(|key| *key >= from).min()
}

/// The loop device of that number, or of the first that nobody has; made where it isn't there.
pub(super) fn make(number: Option<u32>) -> Result<Arc<Loop>, Errno> {
    loop {
        if let Some(found) = number.and_then(find) {
            return Ok(found);
        }
        let free = || (0..).find(|number| find(*number).is_none());
        let number = number.or_else(free).ok_or(Errno::ENOSPC)?;
        // Not under the list's lock, where nothing may wait for memory.
        let fresh = try_arc(Loop::new(number))?;
        if !enter(&fresh)? {
            // Somebody has made one of that number meanwhile.
            continue;
        }
        return match add_node(fresh.key()) {
            // Somebody made the device file before.
            Ok(()) | Err(Errno::EEXIST) => Ok(fresh),
            Err(error) => Err(error),
        };
    }
}

/// Adds it to the list, unless there is one of its number.
fn enter(fresh: &Arc<Loop>) -> Result<bool, Errno> {
    let mut loops = LOOPS.lock();
    if loops.iter().any(|one| one.number == fresh.number) {
        return Ok(false);
    }
    try_push(&mut loops, Arc::clone(fresh))?;
    Ok(true)
}

impl Loop {
    /// Without a file.
    fn new(number: u32) -> Self {
        Self {
            number,
            name: format!("loop{number}"),
            state: SpinLock::new(State::FREE),
            users: AtomicUsize::new(0),
            counters: Counters::default(),
        }
    }

    fn key(&self) -> Key {
        key(MAJOR, self.number)
    }

    fn users(&self) -> usize {
        self.users.load(Ordering::Acquire)
    }

    /// What it was told of itself, and its file; ENXIO without one.
    pub(crate) fn bound(&self) -> Result<(Status, Arc<File>), Errno> {
        let state = self.state.lock();
        let file = state.file.as_ref().ok_or(Errno::ENXIO)?;
        Ok((state.status, Arc::clone(file)))
    }

    /// Lets its file go.
    fn clear(&self) {
        // The file may be another loop device: it goes with no lock held.
        let before = core::mem::replace(&mut *self.state.lock(), State::FREE);
        drop(before);
        // Nobody has them open, who would be a user.
        let _ = forget_parts(self.key());
    }

    /// Moves the bytes of `memory` to or from the file.
    fn transfer(&self, sector: u64, memory: Memory<'_>, write: bool) -> Result<u64, IoError> {
        let (status, file) = self.bound().map_err(|_| IoError::Device)?;
        let (mut at, end) = (sector, self.sectors());
        let begun = time::now_ns();
        let thread = sched::current();
        let mut buffer = try_zeros(PAGE_SIZE).map_err(|_| IoError::NoMemory)?;
        for segment in memory.from(0) {
            let piece = buffer.get_mut(..segment.len()).unwrap_or_default();
            let pos = at
                .checked_mul(u64_of(SECTOR_SIZE))
                .and_then(|pos| pos.checked_add(status.offset))
                .ok_or(IoError::OutOfRange)?;
            at += u64_of(piece.len() / SECTOR_SIZE);
            if at > end {
                return Err(IoError::OutOfRange);
            }
            if write {
                segment.load(piece);
            }
            let done = thread.uncounted(|| move_all(&file, piece, pos, write));
            if done.is_err() {
                return Err(self.failed());
            }
            if !write {
                segment.store(piece);
            }
        }
        let busy = time::now_ns().saturating_sub(begun);
        self.counters.busy.fetch_add(busy, Ordering::Relaxed);
        Ok((at - sector) * u64_of(SECTOR_SIZE))
    }

    fn failed(&self) -> IoError {
        self.counters.errors.fetch_add(1, Ordering::Relaxed);
        IoError::Device
    }
}

/// Writes to the file or reads from it; what lies past its end is zero.
fn move_all(file: &File, mut piece: &mut [u8], mut pos: u64, write: bool) -> Result<(), Errno> {
    while !piece.is_empty() {
        let done = if write {
            file.ops.write(file, &mut IoSrc::kernel(piece), &mut pos)?
        } else {
            file.ops.read(file, &mut IoDst::kernel(piece), &mut pos)?
        };
        piece = piece.get_mut(done..).unwrap_or_default();
        if done == 0 {
            piece.fill(0);
            return if write { Err(Errno::EIO) } else { Ok(()) };
        }
    }
    Ok(())
}

impl BlockDevice for Loop {
    fn name(&self) -> &str {
        &self.name
    }

    fn sectors(&self) -> u64 {
        self.state.lock().sectors
    }

    fn read_only(&self) -> bool {
        self.state.lock().read_only
    }

    fn read(&self, sector: u64, into: Memory<'_>) -> Result<(), IoError> {
        let len = self.transfer(sector, into, false)?;
        self.counters.read.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }

    fn write(&self, sector: u64, from: Memory<'_>) -> Result<(), IoError> {
        if self.read_only() {
            return Err(IoError::ReadOnly);
        }
        let len = self.transfer(sector, from, true)?;
        self.counters.written.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }

    fn flush(&self) -> Result<(), IoError> {
        let (_, file) = self.bound().map_err(|_| IoError::Device)?;
        if self.read_only() {
            return Ok(());
        }
        file.ops.sync(&file, false).map_err(|_| {
            self.counters.failed_flushes.fetch_add(1, Ordering::Relaxed);
            self.failed()
        })
    }

    fn discard(&self, sector: u64, count: u64) -> Result<(), IoError> {
        // FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE (linux/falloc.h).
        const PUNCH: u32 = 1 | 2;
        let (status, file) = self.bound().map_err(|_| IoError::Device)?;
        let bytes = |sectors: u64| sectors.checked_mul(u64_of(SECTOR_SIZE));
        let start = bytes(sector).and_then(|start| start.checked_add(status.offset));
        let (Some(start), Some(len)) = (start, bytes(count)) else {
            return Err(IoError::OutOfRange);
        };
        let (Ok(start), Ok(len)) = (i64::try_from(start), i64::try_from(len)) else {
            return Err(IoError::OutOfRange);
        };
        vfs::allocate(&file, PUNCH, start, len).map_err(|_| IoError::Unsupported)
    }

    fn serial(&self, _: &mut [u8; 20]) -> Result<usize, IoError> {
        Err(IoError::Unsupported)
    }

    fn stats(&self) -> DiskStats {
        self.counters.snapshot()
    }

    fn block_size(&self) -> u32 {
        self.state.lock().block_size
    }

    fn set_read_only(&self, on: bool) -> Result<(), IoError> {
        let mut state = self.state.lock();
        state.read_only = on || state.status.flags & READ_ONLY != 0;
        Ok(())
    }

    fn count_user(&self, more: bool) {
        if more {
            self.users.fetch_add(1, Ordering::AcqRel);
        } else if self.users.fetch_sub(1, Ordering::AcqRel) == 1
            && self.state.lock().status.flags & AUTOCLEAR != 0
        {
            self.clear();
        }
    }
}
