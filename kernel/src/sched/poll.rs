//! [`Poller`]: one thread that waits for any of many queues, as poll(2) and select(2) do.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use super::cpu;
use super::thread::Thread;
use super::wait::{Deadline, Mode, WaitQueue, Wake, WakeTarget};
use crate::mm::{OutOfMemory, kmem};

/// What the queues tell.
struct Bell {
    rung: AtomicBool,
    thread: Arc<Thread>,
}

impl WakeTarget for Bell {
    fn woken(self: Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.thread.wake();
    }
}

/// A set of queues, the running thread waiting for any of them.
///
/// Add every queue while looking at each file's state, then [`Self::wait`] when none was ready,
/// then look again: what happened in between isn't missed.
pub(crate) struct Poller {
    bell: Arc<Bell>,
    target: Arc<dyn WakeTarget>,
    queues: Vec<Arc<WaitQueue>>,
    /// For [`Self::wait`], where nobody else waits.
    own: WaitQueue,
    failed: bool,
}

impl Poller {
    /// A poller for the running thread.
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        let _charge = kmem::charge(size_of::<Bell>() + 2 * size_of::<usize>())?;
        let bell = Arc::new(Bell {
            rung: AtomicBool::new(false),
            thread: cpu::current(),
        });
        Ok(Self {
            target: Arc::<Bell>::clone(&bell),
            bell,
            queues: Vec::new(),
            own: WaitQueue::new(),
            failed: false,
        })
    }

    /// Waits for this queue too. Out of memory shows at [`Self::check`].
    pub(crate) fn add(&mut self, queue: &Arc<WaitQueue>) {
        let added =
            self.queues.try_reserve(1).is_ok() && queue.observe(Arc::clone(&self.target)).is_ok();
        if added {
            self.queues.push(Arc::clone(queue));
        } else {
            self.failed = true;
        }
    }

    /// Whether every queue could be added.
    pub(crate) fn check(&self) -> Result<(), OutOfMemory> {
        if self.failed {
            Err(OutOfMemory)
        } else {
            Ok(())
        }
    }

    /// Sleeps until one of the queues wakes someone. It may have been since they were added.
    pub(crate) fn wait(&self, deadline: Deadline, mode: Mode) -> Result<(), Wake> {
        let rung = || self.bell.rung.swap(false, Ordering::AcqRel).then_some(());
        self.own.wait(mode, deadline, rung)
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        for queue in &self.queues {
            queue.forget(&self.target);
        }
    }
}
