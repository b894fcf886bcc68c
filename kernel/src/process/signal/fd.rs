//! signalfd(2): signals read from a file. A [`SignalFd`] has a set of signals and nothing else: it
//! reads what is pending for whoever reads it.

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::signal::info::SIGNALFD_SIZE;
use kiln_core::signal::{SigInfo, SigSet};

use crate::fs::anon::event_file;
use crate::fs::file::{Events, File, FileOps, Watch};
use crate::fs::memory::try_arc;
use crate::process::task::{self, Task};
use crate::process::timers;
use crate::sched::{Mode, WaitQueue};
use crate::sync::SpinLock;
use crate::vm::IoDst;

/// The file's own part.
pub(crate) struct SignalFd {
    set: SpinLock<SigSet>,
}

/// A new file; `flags` are `SFD_*`.
///
/// # Errors
/// `EINVAL` for unknown flags, `ENOMEM`.
pub(crate) fn create(set: SigSet, flags: u32) -> Result<Arc<File>, Errno> {
    check_flags(flags)?;
    let ops = try_arc(SignalFd {
        set: SpinLock::new(set.minus(SigSet::UNBLOCKABLE)),
    })?;
    event_file(b"[signalfd]", ops, flags)
}

/// Replaces a file's set.
///
/// # Errors
/// `EINVAL` for unknown flags, or when it is another kind of file.
pub(crate) fn change(task: &Task, file: &File, set: SigSet, flags: u32) -> Result<(), Errno> {
    check_flags(flags)?;
    let own: &SignalFd = file.ops_as().ok_or(Errno::EINVAL)?;
    *own.set.lock() = set.minus(SigSet::UNBLOCKABLE);
    if let Some(queue) = task.process().signal_watchers() {
        queue.wake_all();
    }
    Ok(())
}

fn check_flags(flags: u32) -> Result<(), Errno> {
    if flags & !(abi::O_CLOEXEC | abi::O_NONBLOCK) == 0 {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

impl SignalFd {
    /// Takes a pending signal of the set.
    fn take(&self, task: &Arc<Task>) -> Option<SigInfo> {
        let outside = SigSet::FULL.minus(*self.set.lock());
        let mut group = task.process().group.lock();
        let mut signals = task.signals.lock();
        let own = signals.pending.take(outside);
        own.or_else(|| group.pending.take(outside))
    }

    /// Takes the first one, waiting for it unless the file says not to.
    fn first(&self, file: &File, task: &Arc<Task>) -> Result<SigInfo, Errno> {
        if file.nonblocking() {
            return self.take(task).ok_or(Errno::EAGAIN);
        }
        let queue: Arc<WaitQueue> = task.process().make_signal_watchers()?;
        queue
            .wait(Mode::Interruptible, None, || self.take(task))
            .map_err(|_| Errno::ERESTARTSYS)
    }
}

impl FileOps for SignalFd {
    fn read(&self, file: &File, dst: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        let task = task::current().ok_or(Errno::EINVAL)?;
        if dst.remaining() < SIGNALFD_SIZE {
            return Err(Errno::EINVAL);
        }
        let mut next = Some(self.first(file, &task)?);
        let mut done = 0;
        while let Some(info) = next {
            let info = timers::dequeued(task.process(), info);
            match dst.put(&info.encode_for_file()) {
                Ok(bytes) => done += bytes,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
            let room = dst.remaining() >= SIGNALFD_SIZE;
            next = if room { self.take(&task) } else { None };
        }
        Ok(done)
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn ignores_seek(&self) -> bool {
        true
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn Watch>) -> Events {
        let Some(task) = task::current() else {
            return Events::empty();
        };
        if let Some(watch) = watch
            && let Ok(queue) = task.process().make_signal_watchers()
        {
            watch.add(&queue);
        }
        let group = task.process().group.lock();
        let pending = task.signals.lock().pending.set().union(group.pending.set());
        if pending.intersection(*self.set.lock()).is_empty() {
            Events::empty()
        } else {
            Events::IN
        }
    }

    fn describe(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        writeln!(out, "sigmask:\t{:016x}", self.set.lock().bits())
    }
}
