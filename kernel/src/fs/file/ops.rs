//! [`FileOps`]: what reading, writing, waiting and the rest do for a kind of open file; [`Events`] and [`Watch`] for
//! poll, [`Ioctl`] for ioctl(2).

use alloc::sync::Arc;
use bitflags::bitflags;
use core::any::Any;
use kiln_core::errno::Errno;

use super::File;
use crate::fs::context::Lookup;
use crate::fs::fasync::AsyncList;
use crate::fs::fdtable::FdTable;
use crate::fs::inode::Emit;
use crate::fs::pipe::Pipe;
use crate::sched::{Poller, WaitQueue};
use crate::vm::{AddressSpace, IoDst, IoSrc, Mapping};

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
    /// The caller's descriptors.
    pub(crate) files: &'a FdTable,
}

/// What open files of a kind do. The defaults are for what it doesn't have.
pub(crate) trait FileOps: Any + Send + Sync {
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

    /// The pages that its contents are, without a word on why.
    fn contents(&self, file: &File) -> Option<Arc<Mapping>> {
        file.inode.mapping().cloned()
    }

    /// The pipe it is an end of.
    fn pipe(&self) -> Option<&Arc<Pipe>> {
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
