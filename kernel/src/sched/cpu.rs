//! Each CPU's run queue, and when the running thread makes way for another.
//!
//! [`schedule`] is the only place where a CPU changes threads. Which CPU a thread goes to, and which
//! threads an idle CPU takes from the others: [`balance`](super::balance).
//!
//! Locks: a CPU's `current`, then its queue, never two queues at once. Nothing is allocated or freed
//! with a queue locked: interrupts lock queues too, and may have interrupted the heap.

mod switch;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use kiln_core::bandwidth::Throttle;
use kiln_core::num::usize_of32;
use kiln_core::runqueue::{Rank, Room, RunQueue, SLICE_NS};
use x86_64::instructions::interrupts;

use super::thread::{Kind, NOTIFIED, PARKED, RUNNING, Thread};
use super::timer;
use super::{account, balance, budget};
use crate::arch::cpu::MAX_CPUS;
use crate::arch::{self, apic, smp, time};
use crate::mm::OutOfMemory;
use crate::mm::stack::KernelStack;
use crate::sync::{IrqLock, SpinLock};
use switch::schedule;
pub(super) use switch::{finish_switch, root_changed};

/// Free kernel stacks kept for the next threads.
const KEPT_STACKS: usize = 8;
/// No timer interrupt is to come.
const UNARMED: u64 = u64::MAX;
/// How long a thread of `SCHED_RR` runs before the next of its priority (`sched_rr_get_interval(2)`).
pub(crate) const ROUND_NS: u64 = 100_000_000;

/// What the scheduler keeps for a CPU.
pub(super) struct Cpu {
    pub(super) queue: IrqLock<RunQueue<Arc<Thread>>>,
    /// Threads in the queue.
    queued: AtomicUsize,
    /// The queue's virtual time, as last seen.
    floor: AtomicU64,
    /// The rank, as a word, of the first waiting thread that comes before all that share, plus one: zero
    /// when there is none.
    urgent: AtomicU64,
    current: SpinLock<Option<Arc<Thread>>>,
    /// The running thread's rank as a word, when it was last looked at.
    running: AtomicU64,
    /// The thread that the running one took over from, during the switch.
    previous: SpinLock<Option<Arc<Thread>>>,
    /// Its stack pointer.
    previous_stack: AtomicU64,
    /// The CPU that the previous thread goes to, plus one; zero when it goes nowhere.
    sends_to: AtomicU32,
    /// What runs where no other thread can.
    idle_thread: SpinLock<Option<Arc<Thread>>>,
    idling: AtomicBool,
    pub(super) counts: account::Counts,
    idle_ns: AtomicU64,
    /// What threads of real time have had here.
    pub(super) throttle: IrqLock<Throttle>,
    /// A thread woke that should run at once.
    preempt: AtomicBool,
    /// The timer interrupt came and nobody has looked at the timers since.
    fired: AtomicBool,
    /// When the timer interrupt comes, or [`UNARMED`], less one: all zeroes at first, to keep the
    /// array out of the image.
    armed: AtomicU64,
}

static CPUS: [Cpu; MAX_CPUS] = [const { Cpu::new() }; MAX_CPUS];
/// How many threads there are: each queue has room for all.
static THREADS: AtomicUsize = AtomicUsize::new(0);
static STACKS: SpinLock<Vec<KernelStack>> = SpinLock::new(Vec::new());

/// Why a thread leaves its CPU.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leave {
    /// Another one's turn; it stays runnable.
    Yield,
    /// A more urgent one's turn; it stays runnable, before others of its rank.
    Preempted,
    /// It waits.
    Parked,
    /// It is over.
    Dead,
}

impl Cpu {
    const fn new() -> Self {
        Self {
            queue: IrqLock::new(RunQueue::new()),
            queued: AtomicUsize::new(0),
            floor: AtomicU64::new(0),
            urgent: AtomicU64::new(0),
            current: SpinLock::new(None),
            running: AtomicU64::new(0),
            previous: SpinLock::new(None),
            previous_stack: AtomicU64::new(0),
            sends_to: AtomicU32::new(0),
            idle_thread: SpinLock::new(None),
            idling: AtomicBool::new(false),
            counts: account::Counts::new(),
            idle_ns: AtomicU64::new(0),
            throttle: IrqLock::new(Throttle::new()),
            preempt: AtomicBool::new(false),
            fired: AtomicBool::new(false),
            armed: AtomicU64::new(0),
        }
    }

    /// When the timer interrupt comes.
    fn armed(&self) -> u64 {
        self.armed.load(Ordering::Relaxed).wrapping_sub(1)
    }

    fn set_armed(&self, deadline: u64) {
        self.armed
            .store(deadline.wrapping_add(1), Ordering::Relaxed);
    }

    /// Makes this CPU's timer interrupt come at `deadline` or before.
    fn arm(&self, deadline: u64) {
        if deadline < self.armed() {
            self.set_armed(deadline);
            apic::arm_timer(deadline);
        }
    }

    /// Looks at the timers when their interrupt came.
    fn run_timers(&self, now: u64) {
        if self.fired.swap(false, Ordering::Relaxed) {
            timer::run_expired(now);
            self.arm_for_timers();
        }
    }

    fn arm_for_timers(&self) {
        if let Some(deadline) = timer::next() {
            self.arm(deadline);
        }
    }

    /// Threads that run here or wait to.
    pub(super) fn load(&self) -> usize {
        let running = usize::from(!self.idling.load(Ordering::Relaxed));
        self.queued.load(Ordering::Relaxed) + running
    }

    /// Threads that wait to run here.
    pub(super) fn waiting(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn is_idling(&self) -> bool {
        self.idling.load(Ordering::Relaxed)
    }

    /// The running thread's rank.
    pub(super) fn running_rank(&self) -> Rank {
        Rank::from_word(self.running.load(Ordering::Relaxed))
    }

    /// What must be done with the queue locked after it changed.
    fn note(&self, queue: &RunQueue<Arc<Thread>>) {
        self.queued.store(queue.len(), Ordering::Relaxed);
        self.floor.store(queue.floor(), Ordering::Relaxed);
        let urgent = queue.first().filter(|first| first.is_real_time());
        let word = urgent.map_or(0, |first| first.to_word().saturating_add(1));
        self.urgent.store(word, Ordering::Relaxed);
    }

    /// The rank of the first waiting thread, if that comes before all that share.
    pub(super) fn waiting_urgent(&self) -> Option<Rank> {
        let word = self.urgent.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Rank::from_word(word))
    }

    /// The rank of the first waiting thread.
    pub(super) fn first(&self) -> Option<Rank> {
        self.queue.lock().first()
    }

    /// Takes the thread whose turn it is, and tells whether more are waiting.
    fn pop(&self) -> Option<(Arc<Thread>, bool)> {
        let mut queue = self.queue.lock();
        let (_, next) = queue.pop()?;
        self.note(&queue);
        Some((next, !queue.is_empty()))
    }

    /// Takes a waiting thread that may run on CPU `id` and that no CPU still has.
    pub(super) fn give_to(&self, id: u32) -> Option<Arc<Thread>> {
        let mut queue = self.queue.lock();
        let free =
            |thread: &Arc<Thread>| !thread.on_cpu.load(Ordering::Acquire) && thread.may_run_on(id);
        let (_, thread) = queue.take(free)?;
        self.note(&queue);
        Some(thread)
    }

    /// Adds a thread: with `placed` one that has slept, with `first` one that had to make way.
    pub(super) fn push(&self, id: u32, thread: Arc<Thread>, placed: bool, first: bool) -> Rank {
        adopt(id, &thread);
        if placed && thread.kind() == Kind::Deadline {
            budget::wake(&thread, time::now_ns());
        }
        thread.times.queued.store(time::now_ns(), Ordering::Relaxed);
        let mut queue = self.queue.lock();
        if placed {
            let time = if thread.is_new() {
                queue.placed_new(thread.weight.load(Ordering::Relaxed))
            } else {
                queue.placed(thread.virtual_time.load(Ordering::Relaxed))
            };
            thread.virtual_time.store(time, Ordering::Relaxed);
        }
        let rank = thread.rank();
        if first {
            queue.push_first(rank, thread);
        } else {
            queue.push(rank, thread);
        }
        self.note(&queue);
        rank
    }
}

/// The CPU's number.
pub(super) fn this_id() -> u32 {
    arch::cpu::this_cpu().id()
}

#[expect(
    clippy::indexing_slicing,
    reason = "CPU numbers are below MAX_CPUS: only so many are started"
)]
pub(super) fn this() -> &'static Cpu {
    &CPUS[usize_of32(this_id())]
}

/// CPU number `id`.
pub(super) fn cpu(id: u32) -> Option<&'static Cpu> {
    CPUS.get(usize_of32(id))
}

/// All CPUs there are, by number.
pub(super) fn all() -> impl Iterator<Item = (u32, &'static Cpu)> {
    (0..smp::count()).zip(&CPUS)
}

/// Makes a thread CPU `id`'s, as far behind or ahead there as it was where it came from.
pub(super) fn adopt(id: u32, thread: &Thread) {
    let from = thread.cpu.swap(id, Ordering::Relaxed);
    if from != id {
        let floor = |id| cpu(id).map_or(0, |cpu| cpu.floor.load(Ordering::Relaxed));
        let time = thread.virtual_time.load(Ordering::Relaxed);
        let time = floor(id).saturating_add(time).saturating_sub(floor(from));
        thread.virtual_time.store(time, Ordering::Relaxed);
    }
}

/// Makes the boot the first thread. From here on waits work, and threads can be spawned.
pub(crate) fn init() -> Result<(), OutOfMemory> {
    let thread = Thread::boot()?;
    thread.start_running();
    *this().current.lock() = Some(thread);
    STACKS
        .lock()
        .try_reserve_exact(KEPT_STACKS)
        .map_err(|_| OutOfMemory)?;
    apic::on_timer(timer_interrupt);
    Ok(())
}

/// Says what runs on CPU `id` where no other thread can.
pub(super) fn set_idle_thread(id: u32, thread: Arc<Thread>) {
    if let Some(cpu) = cpu(id) {
        *cpu.idle_thread.lock() = Some(thread);
    }
}

/// Where another CPU enters the scheduler, on the stack of its idle thread.
pub(super) fn enter() -> ! {
    let cpu = this();
    let idle = cpu.idle_thread.lock().clone();
    if let Some(idle) = &idle {
        idle.on_cpu.store(true, Ordering::Relaxed);
        idle.start_running();
    }
    *cpu.current.lock() = idle;
    interrupts::enable();
    idle_loop()
}

/// What an idle thread does.
pub(super) fn idle_loop() -> ! {
    loop {
        schedule(Leave::Parked);
    }
}

fn timer_interrupt() {
    let cpu = this();
    cpu.counts.tick();
    cpu.set_armed(UNARMED);
    cpu.fired.store(true, Ordering::Relaxed);
    arch::cpu::this_cpu().set_need_resched();
}

/// The running thread.
#[inline]
pub(crate) fn current() -> Arc<Thread> {
    #[expect(
        clippy::panic,
        reason = "a mistake in the boot's order, which no program can reach"
    )]
    match this().current.lock().as_ref() {
        Some(thread) => Arc::clone(thread),
        None => panic!("sched::init comes before anything that waits"),
    }
}

/// The running thread's name, for the report of a failure: never waits for a lock.
pub(crate) fn running_name() -> Option<[u8; super::thread::NAME_SIZE]> {
    let current = this().current.try_lock()?;
    current.as_ref()?.name_if_free()
}

/// How long CPU `id` has had nothing to do, in nanoseconds.
pub(super) fn idle_ns_of(id: u32) -> u64 {
    cpu(id).map_or(0, |cpu| cpu.idle_ns.load(Ordering::Relaxed))
}

/// How long all CPUs together have had nothing to do, in nanoseconds.
pub(crate) fn idle_ns() -> u64 {
    (0..smp::count()).map(idle_ns_of).sum()
}

/// Makes room in the run queues for one more thread.
pub(super) fn reserve_place() -> Result<(), OutOfMemory> {
    THREADS.fetch_add(1, Ordering::Relaxed);
    make_room().inspect_err(|_| release_place())
}

/// Makes room for all threads there are in every run queue.
pub(super) fn make_room() -> Result<(), OutOfMemory> {
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
pub(super) fn release_place() {
    THREADS.fetch_sub(1, Ordering::Relaxed);
}

/// A kernel stack, one that was used before if there is one.
pub(super) fn stack() -> Result<KernelStack, OutOfMemory> {
    let kept = STACKS.lock().pop();
    kept.map_or_else(KernelStack::new, Ok)
}

/// Takes a stack back.
pub(super) fn keep_stack(stack: KernelStack) {
    let mut stacks = STACKS.lock();
    // The room was reserved at the start, so this doesn't allocate.
    if stacks.len() < KEPT_STACKS && stacks.len() < stacks.capacity() {
        stacks.push(stack);
        return;
    }
    drop(stacks);
    drop(stack);
}

/// Puts a woken thread into a queue.
pub(super) fn enqueue_woken(thread: Arc<Thread>) {
    let id = balance::place(&thread);
    if let Some(cpu) = cpu(id) {
        hand_over(id, cpu, thread);
    }
}

/// Puts a thread that isn't running into the queue of CPU `id`, and sees to it that this CPU looks.
pub(super) fn hand_over(id: u32, cpu: &Cpu, thread: Arc<Thread>) {
    let quiet = thread.is_batch();
    let rank = cpu.push(id, thread, true, false);
    let here = id == this_id();
    if cpu.is_idling() {
        if !here {
            balance::kick(id);
        }
    } else if !quiet && rank.preempts(cpu.running_rank()) {
        cpu.preempt.store(true, Ordering::Relaxed);
        balance::kick(id);
    } else if !here {
        // Whoever runs alone has no timer running.
        if cpu.armed() > time::now_ns().saturating_add(SLICE_NS) {
            balance::kick(id);
        }
    } else {
        cpu.arm(time::now_ns().saturating_add(SLICE_NS));
    }
}

/// A thread's rank, or the CPUs it may run on, are others now.
pub(super) fn requeue(thread: &Arc<Thread>) {
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

/// Makes a thread that runs look at its notices before it enters user mode again.
pub(super) fn interrupt(thread: &Thread) {
    if thread.on_cpu.load(Ordering::SeqCst) {
        balance::kick(thread.cpu.load(Ordering::Relaxed));
    }
}

/// Before a thread looks at its condition for the last time: a wake-up from now on counts.
pub(super) fn before_parking(thread: &Thread) {
    thread.state.store(RUNNING, Ordering::SeqCst);
}

/// Sleeps until [`Thread::wake`], which may have been called already.
pub(super) fn park(thread: &Thread) {
    let parked =
        thread
            .state
            .compare_exchange(RUNNING, PARKED, Ordering::AcqRel, Ordering::Acquire);
    if parked.is_ok() {
        thread.times.voluntary.fetch_add(1, Ordering::Relaxed);
        schedule(Leave::Parked);
    }
    debug_assert_eq!(thread.state.load(Ordering::Relaxed), NOTIFIED);
}

/// Lets another thread run if it is its turn. Cheap when nothing asks for it.
#[inline]
pub(crate) fn resched() {
    if arch::cpu::this_cpu().need_resched() {
        resched_now();
    }
}

#[inline(never)]
fn resched_now() {
    if !arch::cpu::this_cpu().take_need_resched() {
        return;
    }
    let cpu = this();
    let now = time::now_ns();
    let thread = current();
    thread.advance();
    cpu.run_timers(now);
    budget::look(&thread, cpu, now);
    if !thread.may_run_on(this_id()) {
        drop(thread);
        return schedule(Leave::Yield);
    }
    let preempt = cpu.preempt.swap(false, Ordering::Relaxed);
    let running = thread.rank();
    cpu.running.store(running.to_word(), Ordering::Relaxed);
    let Some(first) = cpu.first() else {
        if let Some(at) = budget::tick(&thread, now, false) {
            cpu.arm(at);
        }
        return;
    };
    let rounds = thread.round_is_over(now) && first <= running;
    let weight = thread.weight.load(Ordering::Relaxed);
    let over = running.makes_way_for(first, weight);
    if preempt || over || rounds {
        thread.times.involuntary.fetch_add(1, Ordering::Relaxed);
        drop(thread);
        let urgent = first < running && running.is_real_time();
        schedule(if urgent {
            Leave::Preempted
        } else {
            Leave::Yield
        });
    } else {
        balance::relieve(cpu);
        if let Some(at) = budget::tick(&thread, now, true) {
            cpu.arm(at);
        }
    }
}

/// Lets every other runnable thread run first.
pub(crate) fn yield_now() {
    let cpu = this();
    let thread = current();
    if thread.kind() == Kind::Deadline {
        return budget::give_up(&thread);
    }
    if let Some(first) = cpu.first() {
        if !first.is_real_time() {
            thread
                .virtual_time
                .fetch_max(first.time(), Ordering::Relaxed);
        }
        thread.times.voluntary.fetch_add(1, Ordering::Relaxed);
        drop(thread);
        schedule(Leave::Yield);
    } else {
        drop(thread);
        resched();
    }
}

/// Ends the running thread.
pub(super) fn leave_for_ever() -> ! {
    loop {
        schedule(Leave::Dead);
    }
}

/// Makes the timer interrupt come at `deadline` at the latest.
pub(super) fn arm(deadline: u64) {
    this().arm(deadline);
}
