//! [`File`]: an open file, which descriptors refer to; [`FileOps`]: what reading, writing and the
//! rest do for its kind; [`Events`] and [`Watch`] for poll.

use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::flags::{OpenFlags, SETTABLE};

use super::context::Lookup;
use super::fasync::{AsyncList, Owner};
use super::inode::{Emit, Inode};
use super::lease;
use super::memory::{append, try_arc};
use super::mount::Path;
use super::notify;
use super::pipe::Pipe;
use crate::sched::{Mutex, MutexGuard, Poller, WaitQueue};
use crate::sync::{Once, SpinLock};
use crate::vm::{AddressSpace, IoDst, IoSrc, MapName, Mapping};

bitflags! {
    /// What poll(2) tells; the values are `POLL*`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) struct Events: u32 {
        /// There is something to read.
        const IN = 0x001;
        /// There is something urgent to read.
        const PRI = 0x002;
        /// Writing won't block.
        const OUT = 0x004;
        /// An error is pending, or the reader of a pipe is gone.
        const ERR = 0x008;
        /// The other side is gone.
        const HUP = 0x010;
        /// The descriptor isn't open.
        const NVAL = 0x020;
        /// As `IN`.
        const RDNORM = 0x040;
        /// Nothing here sets it.
        const RDBAND = 0x080;
        /// As `OUT`.
        const WRNORM = 0x100;
        /// Nothing here sets it.
        const WRBAND = 0x200;
        /// The other side won't write any more.
        const RDHUP = 0x2000;
    }
}

impl Events {
    /// Readable.
    pub(crate) const READABLE: Self = Self::IN.union(Self::RDNORM);
    /// Writable.
    pub(crate) const WRITABLE: Self = Self::OUT.union(Self::WRNORM);
}

/// Who wants to know when the state of a file changes.
pub(crate) trait Watch {
    /// The state changes only with a wake-up of this queue.
    fn add(&mut self, queue: &Arc<WaitQueue>);

    /// The same of a queue that only tells of these; whoever waits for others needn't listen.
    fn add_for(&mut self, queue: &Arc<WaitQueue>, events: Events) {
        let _ = events;
        self.add(queue);
    }
}

impl Watch for Poller {
    fn add(&mut self, queue: &Arc<WaitQueue>) {
        Self::add(self, queue);
    }
}

/// A request to a device.
pub(crate) struct Ioctl<'a> {
    /// Which.
    pub(crate) command: u32,
    /// A number, or an address in `space`.
    pub(crate) arg: u64,
    /// The program's memory.
    pub(crate) space: &'a Arc<AddressSpace>,
    /// Whether the caller may administrate the system (`CAP_SYS_ADMIN`).
    pub(crate) privileged: bool,
}

/// What open files of a kind do. The defaults are for what it doesn't have.
pub(crate) trait FileOps: Send + Sync {
    /// Reads at `pos` and moves it on; 0 is the end. Streams leave `pos` alone.
    ///
    /// Blocking reads answer ERESTARTSYS when a signal comes, EAGAIN under `O_NONBLOCK`.
    fn read(&self, file: &File, dst: &mut IoDst<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let _ = (file, dst, pos);
        Err(Errno::EINVAL)
    }

    /// Writes at `pos` and moves it on; with `O_APPEND`, at the end.
    fn write(&self, file: &File, src: &mut IoSrc<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let _ = (file, src, pos);
        Err(Errno::EINVAL)
    }

    /// Whether the file has a position. Streams have none: `lseek` and `pread` answer ESPIPE.
    fn is_stream(&self) -> bool {
        false
    }

    /// Whether a stream takes `lseek` as a request for nothing (`noop_llseek`).
    fn ignores_seek(&self) -> bool {
        false
    }

    /// Whether reading and writing go by the position: not for streams, nor where every byte is
    /// like the next.
    fn has_position(&self) -> bool {
        !self.is_stream()
    }

    /// The position that `SEEK_END` counts from, and whether `SEEK_DATA` and `SEEK_HOLE` work by
    /// the mapping. `None`: seeking is without a limit or an end, as for `/dev/null`.
    fn seek_end(&self, file: &File) -> Option<u64> {
        Some(file.inode.size())
    }

    /// Whether writing where nobody reads any more is told by SIGPIPE too; messages' EPIPE isn't.
    fn signals_broken_pipe(&self) -> bool {
        true
    }

    /// Lists a directory from `pos` on.
    fn readdir(&self, file: &File, pos: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
        let _ = (file, pos, emit);
        Err(Errno::ENOTDIR)
    }

    /// A request beyond reading and writing.
    fn ioctl(&self, file: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        let _ = (file, request);
        Err(Errno::ENOTTY)
    }

    /// The state now; `watch` learns the queues by which it changes.
    fn poll(&self, file: &File, watch: Option<&mut dyn Watch>) -> Events {
        let _ = (file, watch);
        Events::READABLE | Events::WRITABLE
    }

    /// Whether poll means something for it, as epoll asks (regular files: EPERM).
    fn can_poll(&self) -> bool {
        true
    }

    /// Brings the file to the disk; EINVAL for what has no disk.
    fn sync(&self, file: &File, data_only: bool) -> Result<(), Errno> {
        let _ = (file, data_only);
        Err(Errno::EINVAL)
    }

    /// The pages to map; ENODEV for what can't be mapped.
    fn mapping(&self, file: &File) -> Result<MapSource, Errno> {
        let _ = file;
        Err(Errno::ENODEV)
    }

    /// The pipe it is an end of.
    fn pipe(&self) -> Option<&Arc<Pipe>> {
        None
    }

    /// The object itself, for system calls that work on one kind of file only.
    fn as_any(&self) -> Option<&dyn core::any::Any> {
        None
    }

    /// Adds to `/proc/PID/fdinfo/FD` what there is to say besides position and flags.
    fn describe(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        let _ = out;
        Ok(())
    }

    /// Whom it tells by signals of something to read, and of room to write (`O_ASYNC`).
    fn async_lists(&self) -> [Option<&AsyncList>; 2] {
        [None, None]
    }

    /// Names the owner that such a file has when none was named.
    fn async_owner(&self, file: &File) {
        let _ = file;
    }

    /// It was opened, by a walk with `lookup`, as `file`; an error is `open`'s.
    fn opened(&self, lookup: &Lookup<'_>, file: &File) -> Result<(), Errno> {
        let _ = (lookup, file);
        Ok(())
    }

    /// A descriptor was closed; the error is `close`'s.
    fn flush(&self, file: &File) -> Result<(), Errno> {
        let _ = file;
        Ok(())
    }

    /// The last reference is gone.
    fn release(&self, file: &File) {
        let _ = file;
    }
}

/// What a mapping of a file shows.
pub(crate) enum MapSource {
    /// The pages of a file.
    File(Arc<Mapping>),
    /// Fresh zeros, as for `/dev/zero`.
    Zeros,
}

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
    /// It counts among its inode's writers.
    counted: AtomicBool,
    /// Watchers were told of its opening.
    opened: AtomicBool,
    /// Writing takes no set-id bits away: it was opened with `CAP_FSETID`.
    keeps_privilege: AtomicBool,
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
            ops,
            flags: AtomicU32::new(flags.kept()),
            readable: flags.reads(),
            writable: flags.writes() && !path_only,
            counted: AtomicBool::new(false),
            opened: AtomicBool::new(false),
            keeps_privilege: AtomicBool::new(false),
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

    /// EBADF unless it was opened for reading.
    /// Whether it is an event descriptor of some kind: a regular file by its mode, without contents.
    pub(crate) fn is_event(&self) -> bool {
        self.ops.ignores_seek()
    }

    pub(crate) fn check_readable(&self) -> Result<(), Errno> {
        self.readable.then_some(()).ok_or(Errno::EBADF)
    }

    /// EBADF unless it was opened for writing.
    pub(crate) fn check_writable(&self) -> Result<(), Errno> {
        self.writable.then_some(()).ok_or(Errno::EBADF)
    }

    /// Counts it among its inode's writers until it is closed; ETXTBSY.
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

    /// Whether writing takes no set-id bits away.
    pub(crate) fn keeps_privilege(&self) -> bool {
        self.keeps_privilege.load(Ordering::Relaxed)
    }

    /// Says that writing takes no set-id bits away.
    pub(crate) fn keep_privilege(&self) {
        self.keeps_privilege.store(true, Ordering::Relaxed);
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
        self.accessed(if self.ops.has_position() {
            self.ops.read(self, dst, &mut self.pos.lock())
        } else {
            self.ops.read(self, dst, &mut 0)
        })
    }

    /// Writes from the position on.
    pub(crate) fn write(&self, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        self.check_writable()?;
        self.modified(if self.ops.has_position() {
            self.ops.write(self, src, &mut self.pos.lock())
        } else {
            self.ops.write(self, src, &mut 0)
        })
    }

    /// Reads from `pos` on, leaving the position alone.
    pub(crate) fn read_at(&self, dst: &mut IoDst<'_>, mut pos: u64) -> Result<usize, Errno> {
        if self.ops.is_stream() && !self.is_path() {
            return Err(Errno::ESPIPE);
        }
        self.check_readable()?;
        check_span(pos, dst.remaining())?;
        self.accessed(self.ops.read(self, dst, &mut pos))
    }

    /// Writes from `pos` on, leaving the position alone.
    pub(crate) fn write_at(&self, src: &mut IoSrc<'_>, mut pos: u64) -> Result<usize, Errno> {
        if self.ops.is_stream() && !self.is_path() {
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
