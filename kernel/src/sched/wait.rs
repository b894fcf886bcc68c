//! [`WaitQueue`]: threads that sleep until a condition holds.
//!
//! A waiter enters the queue first and looks at the condition again afterwards, and a waker
//! changes the condition first and looks at the queue afterwards, so no wake-up is lost. Waits
//! allocate nothing: a thread's place in the queue is part of the thread. Besides threads a queue
//! holds observers ([`WakeTarget`]), which every wake-up tells: that is how poll and epoll wait.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::cold_path;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

use super::cpu;
use super::thread::{NOTIFY_KILL, NOTIFY_SIGNAL, Thread};
use super::timer;
use crate::arch::{Aside, aside, time};
use crate::mm::OutOfMemory;
use crate::sync::{IrqLock, SpinLock};

/// A point in time after which a wait gives up: nanoseconds of `arch::time::now_ns`.
pub(crate) type Deadline = Option<u64>;

/// What may end a wait before its condition holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// Only the deadline.
    Uninterruptible,
    /// The end of the process too.
    Killable,
    /// Any signal too.
    Interruptible,
}

impl Mode {
    fn notices(self) -> u32 {
        match self {
            Self::Uninterruptible => 0,
            Self::Killable => NOTIFY_KILL,
            Self::Interruptible => NOTIFY_KILL | NOTIFY_SIGNAL,
        }
    }
}

/// Why a wait ended although its condition doesn't hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wake {
    /// A signal, or the end of the process.
    Signal,
    /// The deadline passed.
    Timeout,
}

/// Who can stand in a wait queue besides threads that sleep there.
pub(crate) trait WakeTarget: Send + Sync {
    /// The queue woke someone. Called with the queue locked and interrupts off: it may set a flag,
    /// wake threads and other queues, and nothing else.
    fn woken(self: Arc<Self>);
}

/// A thread's place in the one queue it sleeps in.
pub(super) struct Link {
    next: SpinLock<Option<Arc<Thread>>>,
    queued: AtomicBool,
    /// The thread is inside a wait: one within it must not use the link.
    waiting: AtomicBool,
}

impl Link {
    pub(super) const fn new() -> Self {
        Self {
            next: SpinLock::new(None),
            queued: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
        }
    }
}

/// Waking one: where locks are opened nobody waits, mostly.
impl Aside for WaitQueue {
    extern "C" fn aside(&self) {
        self.wake_some(1);
    }
}

/// Sleeping threads, first come first served, and observers.
pub(crate) struct WaitQueue {
    /// How many stand in it, so that waking an empty queue costs next to nothing.
    length: AtomicU32,
    queue: IrqLock<Queue>,
}

struct Queue {
    first: Option<Arc<Thread>>,
    last: Option<Arc<Thread>>,
    observers: Vec<Arc<dyn WakeTarget>>,
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl WaitQueue {
    /// A queue with nobody in it.
    pub(crate) const fn new() -> Self {
        Self {
            length: AtomicU32::new(0),
            queue: IrqLock::new(Queue {
                first: None,
                last: None,
                observers: Vec::new(),
            }),
        }
    }

    /// Sleeps until `condition` gives a value. It is called with no lock held, any number of
    /// times, and must not itself sleep.
    pub(crate) fn wait<T>(
        &self,
        mode: Mode,
        deadline: Deadline,
        mut condition: impl FnMut() -> Option<T>,
    ) -> Result<T, Wake> {
        if let Some(value) = condition() {
            return Ok(value);
        }
        let thread = cpu::current();
        if let Some(deadline) = deadline {
            timer::arm_thread(&thread, deadline);
        }
        if thread.link.waiting.swap(true, Ordering::Relaxed) {
            debug_assert!(false, "a condition that sleeps");
            return wait_by_looking(&thread, mode, deadline, &mut condition);
        }
        let result = self.sleep(&thread, mode, deadline, &mut condition);
        if deadline.is_some() {
            timer::disarm_thread(&thread);
        }
        thread.link.waiting.store(false, Ordering::Relaxed);
        result
    }

    fn sleep<T>(
        &self,
        thread: &Arc<Thread>,
        mode: Mode,
        deadline: Deadline,
        condition: &mut impl FnMut() -> Option<T>,
    ) -> Result<T, Wake> {
        loop {
            cpu::before_parking(thread);
            self.enter(thread);
            match outcome(thread, mode, deadline, condition) {
                Some(outcome) => {
                    if !self.leave(thread) && outcome.is_err() {
                        // Somebody woke this thread, for which the condition was to hold; it gives
                        // up, so the next in the queue gets the turn.
                        self.wake_one();
                    }
                    return outcome;
                }
                None => cpu::park(thread),
            }
        }
    }

    /// Wakes the thread that has slept longest.
    #[inline]
    pub(crate) fn wake_one(&self) {
        if self.has_some() {
            cold_path();
            aside(self);
        }
    }

    /// Wakes every thread.
    #[inline]
    pub(crate) fn wake_all(&self) {
        self.wake_n(usize::MAX);
    }

    /// Wakes the threads that have slept longest, `count` at most, and tells every observer.
    /// Answers how many threads woke.
    #[inline]
    pub(crate) fn wake_n(&self, count: usize) -> usize {
        if self.has_some() {
            self.wake_some(count)
        } else {
            0
        }
    }

    /// Whether there is anybody to wake, now that the caller has changed the condition.
    #[inline]
    fn has_some(&self) -> bool {
        // Orders that change before the look at the queue.
        fence(Ordering::SeqCst);
        self.length.load(Ordering::Relaxed) != 0
    }

    #[inline(never)]
    fn wake_some(&self, count: usize) -> usize {
        let mut queue = self.queue.lock();
        for observer in &queue.observers {
            Arc::clone(observer).woken();
        }
        let mut woken = 0;
        while woken < count
            && let Some(thread) = queue.pop()
        {
            self.length.fetch_sub(1, Ordering::Relaxed);
            thread.wake();
            woken += 1;
        }
        woken
    }

    #[cfg(feature = "selftest")]
    /// Whether anybody stands in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.length.load(Ordering::Relaxed) == 0
    }

    /// Adds an observer, which every wake-up tells until it is removed.
    pub(crate) fn observe(&self, observer: Arc<dyn WakeTarget>) -> Result<(), OutOfMemory> {
        // Nothing is allocated or freed with the queue locked: interrupts lock it too, and may have
        // interrupted the heap.
        let mut room = Vec::new();
        loop {
            let mut queue = self.queue.lock();
            if room.capacity() > queue.observers.capacity() {
                room.append(&mut queue.observers);
                core::mem::swap(&mut room, &mut queue.observers);
            }
            let (len, capacity) = (queue.observers.len(), queue.observers.capacity());
            if len < capacity {
                queue.observers.push(observer);
                self.length.fetch_add(1, Ordering::SeqCst);
                drop(queue);
                return Ok(());
            }
            drop(queue);
            room = Vec::new();
            room.try_reserve_exact((2 * len).max(2))
                .map_err(|_| OutOfMemory)?;
        }
    }

    /// Removes an observer, once for each time it was added.
    pub(crate) fn forget(&self, observer: &Arc<dyn WakeTarget>) {
        let mut queue = self.queue.lock();
        let at = queue
            .observers
            .iter()
            .position(|other| Arc::ptr_eq(other, observer));
        if let Some(at) = at {
            let removed = queue.observers.swap_remove(at);
            self.length.fetch_sub(1, Ordering::Relaxed);
            drop(queue);
            drop(removed);
        }
    }

    fn enter(&self, thread: &Arc<Thread>) {
        if thread.link.queued.load(Ordering::Acquire) {
            return;
        }
        let mut queue = self.queue.lock();
        thread.link.queued.store(true, Ordering::Relaxed);
        queue.push(Arc::clone(thread));
        // Orders the entry before the look at the condition that follows.
        self.length.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes the thread out of the queue. Answers whether it was still in it.
    fn leave(&self, thread: &Arc<Thread>) -> bool {
        // Locked even when the thread is out: whoever took it out, perhaps in an interrupt, has let go
        // of it then, and never holds the last handle of a thread that has ended since.
        let mut queue = self.queue.lock();
        if !thread.link.queued.load(Ordering::Acquire) {
            return false;
        }
        let removed = queue.remove(thread);
        if removed.is_some() {
            self.length.fetch_sub(1, Ordering::Relaxed);
        }
        removed.is_some()
    }
}

/// How a wait ends, if it does now.
fn outcome<T>(
    thread: &Thread,
    mode: Mode,
    deadline: Deadline,
    condition: &mut impl FnMut() -> Option<T>,
) -> Option<Result<T, Wake>> {
    if let Some(value) = condition() {
        return Some(Ok(value));
    }
    if thread.is_notified(mode.notices()) {
        return Some(Err(Wake::Signal));
    }
    // The clock too: an expiry of the wait before may arrive late from another CPU.
    let over = |deadline| thread.timed_out.load(Ordering::Acquire) && time::now_ns() >= deadline;
    deadline.is_some_and(over).then_some(Err(Wake::Timeout))
}

/// A wait inside another's condition, which would be a mistake of the kernel's: it can't use the
/// thread's link, so it looks again and again, letting others run.
fn wait_by_looking<T>(
    thread: &Thread,
    mode: Mode,
    deadline: Deadline,
    condition: &mut impl FnMut() -> Option<T>,
) -> Result<T, Wake> {
    loop {
        if let Some(outcome) = outcome(thread, mode, deadline, condition) {
            return outcome;
        }
        cpu::yield_now();
    }
}

impl Queue {
    fn push(&mut self, thread: Arc<Thread>) {
        match self.last.replace(Arc::clone(&thread)) {
            Some(last) => *last.link.next.lock() = Some(thread),
            None => self.first = Some(thread),
        }
    }

    fn pop(&mut self) -> Option<Arc<Thread>> {
        let thread = self.first.take()?;
        self.first = thread.link.next.lock().take();
        if self.first.is_none() {
            self.last = None;
        }
        thread.link.queued.store(false, Ordering::Release);
        Some(thread)
    }

    fn remove(&mut self, thread: &Arc<Thread>) -> Option<Arc<Thread>> {
        if self
            .first
            .as_ref()
            .is_some_and(|first| Arc::ptr_eq(first, thread))
        {
            return self.pop();
        }
        let mut before = self.first.clone();
        while let Some(at) = before {
            let mut next = at.link.next.lock();
            match next.as_ref() {
                Some(here) if Arc::ptr_eq(here, thread) => {
                    let removed = next.take();
                    *next = thread.link.next.lock().take();
                    if next.is_none() {
                        drop(next);
                        self.last = Some(at);
                    }
                    thread.link.queued.store(false, Ordering::Release);
                    return removed;
                }
                Some(here) => {
                    let here = Arc::clone(here);
                    drop(next);
                    before = Some(here);
                }
                None => return None,
            }
        }
        None
    }
}
