//! The two ends of a pipe as open files, and opening FIFOs.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::perm::Identity;

use super::Pipe;
use crate::fs::anon::{PIPES, Plain};
use crate::fs::clock;
use crate::fs::fasync::AsyncList;
use crate::fs::file::{Events, File, FileOps, Ioctl, Watch};
use crate::fs::inode::Inode;
use crate::fs::memory::try_arc;
use crate::sched::Mode;
use crate::vm::{IoDst, IoSrc};

impl Pipe {
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
        if pipe.has_readers() != pipe.has_writers() {
            pipe.readable.tell(abi::POLL_IN);
            pipe.writable.tell(abi::POLL_OUT);
        }
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

    fn async_lists(&self) -> [Option<&AsyncList>; 2] {
        [
            self.reads.then_some(&self.pipe.readable),
            self.writes.then_some(&self.pipe.writable),
        ]
    }

    fn pipe(&self) -> Option<&Arc<Pipe>> {
        Some(&self.pipe)
    }
}

/// Makes a pipe: the end to read from and the end to write to.
pub(crate) fn create(who: &Identity<'_>, flags: u32) -> Result<(Arc<File>, Arc<File>), Errno> {
    let pipe = Pipe::new(who, Errno::ENFILE)?;
    let mut attr = Attr::new(FileType::Fifo, 0o600, who.uid, who.gid, clock::now());
    attr.nlink = 1;
    let inode = PIPES.inode(attr, None, try_arc(Plain)?)?;
    inode.share_pipe(Arc::clone(&pipe));
    let path = PIPES.path(inode, b"")?;
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

/// Opens a FIFO for somebody, waiting for the other side as fifo(7) says. A pipe opened anew through `/proc/PID/fd`
/// waits for nobody: it may have lost its other side for good.
pub(crate) fn open(
    who: &Identity<'_>,
    inode: &Arc<Inode>,
    flags: OpenFlags,
) -> Result<Arc<dyn FileOps>, Errno> {
    let pipe = match inode.pipe() {
        Some(pipe) => pipe,
        None => inode.share_pipe(Pipe::new(who, Errno::ENOMEM)?),
    };
    let nonblocking = flags.has(abi::O_NONBLOCK);
    let (reads, writes) = (flags.reads(), flags.writes());
    if PIPES.has(inode) {
        return Ok(pipe.open_end(reads, writes)?);
    }
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
