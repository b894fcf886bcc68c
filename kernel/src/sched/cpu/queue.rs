//! A CPU's run queue: threads enter it when they wake or make way, and leave it when it is their turn or another
//! CPU takes them.
//!
//! Every queue has room for all threads there are, which is made when a thread is ([`reserve_place`]): nothing is
//! allocated with a queue locked.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use kiln_core::runqueue::{Rank, Room, RunQueue, SLICE_NS};

use super::{Cpu, all, cpu, current, interrupt, this_id};
use crate::arch::time;
use crate::mm::OutOfMemory;
use crate::sched::thread::{Kind, Thread};
use crate::sched::{balance, budget};

/// How many threads there are: each queue has room for all.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Where a thread goes in a queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::sched) enum Place {
    /// Where its rank says.
    Kept,
    /// It had to make way: before those of its rank.
    First,
    /// It has slept, which earns it a little.
    Woken,
}

/// Whose turn it is.
pub(super) struct Turn {
    pub(super) thread: Arc<Thread>,
    pub(super) rank: Rank,
    /// More are waiting.
    pub(super) others: bool,
}

impl Cpu {
    /// What must be done with the queue locked after it changed.
    fn note(&self, queue: &RunQueue<Arc<Thread>>) {
        self.queued.store(queue.len(), Ordering::Relaxed);
        self.floor.store(queue.floor(), Ordering::Relaxed);
        let urgent = queue.first().filter(|first| first.is_real_time());
        let word = urgent.map_or(0, |first| first.to_word().saturating_add(1));
        self.urgent.store(word, Ordering::Relaxed);
    }

    /// The rank of the first waiting thread, if that comes before all that share.
    pub(in crate::sched) fn waiting_urgent(&self) -> Option<Rank> {
        let word = self.urgent.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Rank::from_word(word))
    }

    /// The rank of the first waiting thread.
    pub(in crate::sched) fn first(&self) -> Option<Rank> {
        self.queue.lock().first()
    }

    /// Takes the thread whose turn it is.
    pub(super) fn pop(&self) -> Option<Turn> {
        let mut queue = self.queue.lock();
        let (rank, thread) = queue.pop()?;
        self.note(&queue);
        Some(Turn {
            thread,
            rank,
            others: !queue.is_empty(),
        })
    }

    /// Takes a waiting thread that may run on CPU `id` and that no CPU still has.
    pub(in crate::sched) fn give_to(&self, id: u32) -> Option<Arc<Thread>> {
        let mut queue = self.queue.lock();
        let free =
            |thread: &Arc<Thread>| !thread.on_cpu.load(Ordering::Acquire) && thread.may_run_on(id);
        let (_, thread) = queue.take(free)?;
        self.note(&queue);
        Some(thread)
    }

    /// Where the thread that runs stands by now; on another CPU, where it stood when that last looked.
    fn running_now(&self, id: u32) -> Rank {
        if id != this_id() {
            return self.running_rank();
        }
        let thread = current();
        thread.advance(time::cycles());
        thread.rank()
    }

    /// Adds a thread at `now`.
    pub(in crate::sched) fn push(
        &self,
        id: u32,
        thread: Arc<Thread>,
        place: Place,
        now: u64,
    ) -> Rank {
        adopt(id, &thread);
        let placed = place == Place::Woken;
        if placed && thread.kind() == Kind::Deadline {
            budget::wake(&thread, now);
        }
        thread.times.queued.store(now, Ordering::Relaxed);
        let running = (placed && thread.is_new()).then(|| self.running_now(id));
        let mut queue = self.queue.lock();
        if placed {
            let time = if let Some(running) = running {
                queue.follow(running);
                queue.placed_new(thread.weight.load(Ordering::Relaxed))
            } else {
                queue.placed(thread.virtual_time.load(Ordering::Relaxed))
            };
            thread.virtual_time.store(time, Ordering::Relaxed);
        }
        let rank = thread.rank();
        if place == Place::First {
            queue.push_first(rank, thread);
        } else {
            queue.push(rank, thread);
        }
        self.note(&queue);
        rank
    }
}

/// Makes a thread CPU `id`'s, as far behind or ahead there as it was where it came from.
pub(in crate::sched) fn adopt(id: u32, thread: &Thread) {
    let from = thread.move_to(id);
    if from != id {
        let floor = |id| cpu(id).map_or(0, |cpu| cpu.floor.load(Ordering::Relaxed));
        let time = thread.virtual_time.load(Ordering::Relaxed);
        let time = floor(id).saturating_add(time).saturating_sub(floor(from));
        thread.virtual_time.store(time, Ordering::Relaxed);
    }
}

/// Makes room in the run queues for one more thread.
pub(in crate::sched) fn reserve_place() -> Result<(), OutOfMemory> {
    THREADS.fetch_add(1, Ordering::Relaxed);
    make_room().inspect_err(|_| release_place())
}

/// Makes room for all threads there are in every run queue.
pub(in crate::sched) fn make_room() -> Result<(), OutOfMemory> {
    let threads = THREADS.load(Ordering::Relaxed);
    for (_, cpu) in all() {
        if cpu.queue.lock().room() < threads {
            let room = Room::new(threads.next_power_of_two().max(16));
            let mut room = room.map_err(|_| OutOfMemory)?;
            cpu.queue.lock().move_into(&mut room);
        }
    }
    Ok(())
}

/// A thread is gone.
pub(in crate::sched) fn release_place() {
    THREADS.fetch_sub(1, Ordering::Relaxed);
}

/// Puts a woken thread into a queue.
pub(in crate::sched) fn enqueue_woken(thread: Arc<Thread>) {
    let id = balance::place(&thread);
    if let Some(cpu) = cpu(id) {
        hand_over(id, cpu, thread);
    }
}

/// Puts a thread that isn't running into the queue of CPU `id`, and sees to it that this CPU looks.
pub(in crate::sched) fn hand_over(id: u32, cpu: &Cpu, thread: Arc<Thread>) {
    let quiet = thread.is_batch();
    let now = time::now_ns();
    let rank = cpu.push(id, thread, Place::Woken, now);
    let here = id == this_id();
    if cpu.is_idling() {
        if !here {
            balance::kick(id);
        }
    } else if !quiet && rank.preempts(cpu.running_rank()) {
        cpu.preempt.store(true, Ordering::Relaxed);
        balance::kick(id);
    } else if cpu.armed() > now.saturating_add(SLICE_NS) {
        // Whoever runs alone has no timer running. Here, too, it is set only when the running thread goes on:
        // most that wake another sleep next.
        balance::kick(id);
    }
}

/// A thread's rank, or the CPUs it may run on, are others now.
pub(in crate::sched) fn requeue(thread: &Arc<Thread>) {
    let id = thread.cpu.load(Ordering::Relaxed);
    let Some(cpu) = cpu(id) else { return };
    let mut queue = cpu.queue.lock();
    let queued = queue.take(|other| Arc::ptr_eq(other, thread));
    cpu.note(&queue);
    drop(queue);
    match queued {
        // It stays where its stack is in use, and goes when it runs.
        Some((_, thread)) => enqueue_woken(thread),
        None => interrupt(thread),
    }
}
