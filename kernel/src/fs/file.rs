//! [`File`]: an open file, which descriptors refer to. What reading, writing and the rest do for its kind is
//! [`FileOps`] (in [`ops`]).

mod ops;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::flags::{OpenFlags, SETTABLE};

use super::fasync::Owner;
use super::inode::Inode;
use super::lease;
use super::memory::{append, try_arc};
use super::mount::Path;
use super::notify;
use crate::sched::{Mutex, MutexGuard};
use crate::sync::{Once, SpinLock};
use crate::vm::{IoDst, IoSrc, MapName};
pub(crate) use ops::{Events, FileOps, Ioctl, MapSource, Watch};

/// EINVAL for a range that ends past the largest position there is.
fn check_span(pos: u64, len: usize) -> Result<(), Errno> {
    let end = pos.saturating_add(kiln_core::num::u64_of(len));
    (end <= i64::MAX.cast_unsigned())
        .then_some(())
        .ok_or(Errno::EINVAL)
}

/// An open file.
pub(crate) struct File {
    /// Where it was found.
    pub(crate) path: Path,
    /// What it is.
    pub(crate) inode: Arc<Inode>,
    /// What it does.
    pub(crate) ops: Arc<dyn FileOps>,
    flags: AtomicU32,
    readable: bool,
    writable: bool,
    /// What its operations say of themselves, which never changes: each reading and writing wants to know.
    positioned: bool,
    stream: bool,
    /// It counts among its inode's writers.
    counted: AtomicBool,
    /// Watchers were told of its opening.
    opened: AtomicBool,
    id: u64,
    pos: Mutex<u64>,
    owner: SpinLock<Owner>,
    /// It counts among its inode's readers.
    reading: AtomicBool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl File {
    /// An open file of `path`, whose dentry has an inode.
    pub(crate) fn new(
        path: Path,
        ops: Arc<dyn FileOps>,
        flags: OpenFlags,
    ) -> Result<Arc<Self>, Errno> {
        let inode = Arc::clone(path.inode()?);
        let path_only = flags.has(abi::O_PATH);
        try_arc(Self {
            path,
            inode,
            positioned: ops.has_position(),
            stream: ops.is_stream(),
            ops,
            flags: AtomicU32::new(flags.kept()),
            readable: flags.reads(),
            writable: flags.writes() && !path_only,
            counted: AtomicBool::new(false),
            opened: AtomicBool::new(false),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            pos: Mutex::new(0),
            owner: SpinLock::new(Owner::default()),
            reading: AtomicBool::new(false),
        })
    }

    /// A number that no other open file ever has: the owner of its locks.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Flags as `F_GETFL` shows them.
    pub(crate) fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Whether one of these flags is set.
    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags() & flag != 0
    }

    /// Whether reading and writing answer EAGAIN rather than wait.
    pub(crate) fn nonblocking(&self) -> bool {
        self.has(abi::O_NONBLOCK)
    }

    /// Sets the flags that `F_SETFL` may.
    pub(crate) fn set_flags(&self, flags: u32) {
        let _ = self
            .flags
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
                Some(old & !SETTABLE | flags & SETTABLE)
            });
    }

    /// Sets or clears one flag.
    pub(crate) fn set_flag(&self, flag: u32, on: bool) {
        if on {
            self.flags.fetch_or(flag, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!flag, Ordering::Relaxed);
        }
    }

    /// Whether it stands for a path only (`O_PATH`).
    pub(crate) fn is_path(&self) -> bool {
        self.has(abi::O_PATH)
    }

    /// Opened for reading.
    pub(crate) fn readable(&self) -> bool {
        self.readable
    }

    /// Opened for writing.
    pub(crate) fn writable(&self) -> bool {
        self.writable
    }

    /// Whether it has no positions at all.
    pub(crate) fn is_stream(&self) -> bool {
        self.stream
    }

    /// Whether it is an event descriptor of some kind: a regular file by its mode, without contents.
    pub(crate) fn is_event(&self) -> bool {
        self.ops.ignores_seek()
    }

    /// What it does, as what one kind of file does, if it is of that kind.
    pub(crate) fn ops_as<T: FileOps>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.ops;
        any.downcast_ref()
    }

    /// EBADF unless it was opened for reading.
    pub(crate) fn check_readable(&self) -> Result<(), Errno> {
        self.readable.then_some(()).ok_or(Errno::EBADF)
    }

    /// EBADF unless it was opened for writing.
    pub(crate) fn check_writable(&self) -> Result<(), Errno> {
        self.writable.then_some(()).ok_or(Errno::EBADF)
    }

    /// Counts it among its inode's writers until it is closed; ETXTBSY.
    #[inline]
    pub(crate) fn begin_writing(&self) -> Result<(), Errno> {
        self.inode.begin_writing()?;
        self.path.mount.count_writer(true);
        self.counted.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Counts it among those that only read its inode until it is closed.
    pub(super) fn begin_reading(&self) {
        self.inode.count_reader(1);
        self.reading.store(true, Ordering::Relaxed);
    }

    /// Opening succeeded: watchers are told, and of its closing too.
    pub(super) fn tell_opened(&self) {
        self.opened.store(true, Ordering::Relaxed);
        notify::file(self, abi::IN_OPEN);
    }

    /// The position, kept from moving.
    pub(crate) fn position(&self) -> MutexGuard<'_, u64> {
        self.pos.lock()
    }

    /// Who is told by signals (`F_SETOWN`).
    pub(crate) fn owner(&self) -> &SpinLock<Owner> {
        &self.owner
    }

    /// Reads from the position on.
    pub(crate) fn read(&self, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        self.check_readable()?;
        let ops = &*self.ops;
        self.accessed(if self.positioned {
            ops.read(self, dst, &mut self.pos.lock())
        } else {
            ops.read(self, dst, &mut 0)
        })
    }

    /// Writes from the position on.
    pub(crate) fn write(&self, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        self.check_writable()?;
        let ops = &*self.ops;
        self.modified(if self.positioned {
            ops.write(self, src, &mut self.pos.lock())
        } else {
            ops.write(self, src, &mut 0)
        })
    }

    /// Reads from `pos` on, leaving the position alone.
    pub(crate) fn read_at(&self, dst: &mut IoDst<'_>, mut pos: u64) -> Result<usize, Errno> {
        if self.stream && !self.is_path() {
            return Err(Errno::ESPIPE);
        }
        self.check_readable()?;
        check_span(pos, dst.remaining())?;
        self.accessed(self.ops.read(self, dst, &mut pos))
    }

    /// Writes from `pos` on, leaving the position alone.
    pub(crate) fn write_at(&self, src: &mut IoSrc<'_>, mut pos: u64) -> Result<usize, Errno> {
        if self.stream && !self.is_path() {
            return Err(Errno::ESPIPE);
        }
        self.check_writable()?;
        check_span(pos, src.remaining())?;
        self.modified(self.ops.write(self, src, &mut pos))
    }

    /// Tells watchers of a reading that got something.
    #[inline]
    pub(super) fn accessed(&self, done: Result<usize, Errno>) -> Result<usize, Errno> {
        if matches!(done, Ok(1..)) {
            notify::file(self, abi::IN_ACCESS);
        }
        done
    }

    /// Tells watchers of a writing that wrote something.
    #[inline]
    pub(super) fn modified(&self, done: Result<usize, Errno>) -> Result<usize, Errno> {
        if matches!(done, Ok(1..)) {
            notify::file(self, abi::IN_MODIFY);
        }
        done
    }
}

impl MapName for File {
    fn identity(&self) -> (u64, u64) {
        (self.inode.sb().dev().encode(), self.inode.ino())
    }

    fn path(&self, out: &mut Vec<u8>) {
        // The root of the whole tree: there is one namespace, and chroots aren't looked at.
        let mut top = Path::root_of(&self.path.mount);
        while let Some(place) = top.mount.place() {
            top = Path::root_of(&place.mount);
        }
        if let Ok(name) = self.path.display_from(&top) {
            // A line without a path is better than none.
            let _ = append(out, &name);
        }
    }

    fn is_linked(&self) -> bool {
        self.inode.with_attr(|attr| attr.nlink != 0)
    }

    fn written(&self) {
        self.inode.modified();
    }

    fn punch(&self, offset: u64, len: u64) -> Result<(), Errno> {
        // FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE (linux/falloc.h).
        const PUNCH: u32 = 1 | 2;
        let number = |value: u64| i64::try_from(value).map_err(|_| Errno::EINVAL);
        super::vfs::allocate(self, PUNCH, number(offset)?, number(len)?)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if self.opened.load(Ordering::Relaxed) {
            notify::file(
                self,
                if self.writable {
                    abi::IN_CLOSE_WRITE
                } else {
                    abi::IN_CLOSE_NOWRITE
                },
            );
        }
        let ops = Arc::clone(&self.ops);
        ops.release(self);
        if let Some(locks) = self.inode.existing_locks() {
            locks.release_file(self.id);
        }
        lease::release(self);
        if self.counted.load(Ordering::Relaxed) {
            self.inode.end_writing();
            self.path.mount.count_writer(false);
        }
        if self.reading.load(Ordering::Relaxed) {
            self.inode.count_reader(-1);
        }
    }
}

/// The operations of a file that stands for a path only.
struct PathOnly;

impl FileOps for PathOnly {}

/// The one object that all files opened with `O_PATH` share.
pub(crate) fn path_ops() -> Arc<dyn FileOps> {
    static OPS: Once<Arc<PathOnly>> = Once::new();
    Arc::<PathOnly>::clone(OPS.call_once(|| Arc::new(PathOnly)))
}
