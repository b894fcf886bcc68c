//! [`Cpu`]: what the scheduler keeps for each CPU; and how a thread parks on its own.
//!
//! [`schedule`] is the only place where a CPU changes threads. The run queue is in [`queue`], when the running
//! thread makes way for another in [`preempt`]. Which CPU a thread goes to, and which threads an idle CPU takes
//! from the others: [`balance`](super::balance).
//!
//! Locks: a CPU's `current`, its `throttle`, its queue, never two queues at once. Nothing is allocated or freed
//! with a queue locked: interrupts lock queues too, and may have interrupted the heap.

mod preempt;
mod queue;
mod switch;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use kiln_core::bandwidth::Throttle;
use kiln_core::num::usize_of32;
use kiln_core::runqueue::{Rank, RunQueue};
use x86_64::instructions::interrupts;

use super::thread::{NOTIFIED, PARKED, RUNNING, Thread};
use super::{account, balance, stacks, timer};
use crate::arch::cpu::MAX_CPUS;
use crate::arch::{self, apic, smp, time};
use crate::mm::{OutOfMemory, kmem};
use crate::sync::{IrqLock, Once, SpinLock};
pub(crate) use preempt::{resched, yield_now};
pub(super) use queue::{
    Place, adopt, enqueue_woken, hand_over, make_room, release_place, requeue, reserve_place,
};
use switch::schedule;
pub(super) use switch::{finish_switch, root_changed};

/// No timer interrupt is to come.
const UNARMED: u64 = u64::MAX;
/// How long a thread of `SCHED_RR` runs before the next of its priority (`sched_rr_get_interval(2)`).
pub(crate) const USUAL_ROUND_NS: u64 = 100_000_000;
/// What was set instead (`/proc/sys/kernel/sched_rr_timeslice_ms`).
pub(crate) static ROUND_NS: AtomicU64 = AtomicU64::new(USUAL_ROUND_NS);

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
    /// The TSC when the last thread to run left, or when idling ended.
    left_at: AtomicU64,
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
    /// When the timer interrupt comes, or [`UNARMED`], plus one: zero at first.
    armed: AtomicU64,
}

/// The first CPU's.
static FIRST: Cpu = Cpu::new();
/// The others', by number; the first place stays empty. A machine has as many as it has: they aren't loaded at boot.
static OTHERS: [Once<Box<Cpu>>; MAX_CPUS] = [const { Once::new() }; MAX_CPUS];

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
            left_at: AtomicU64::new(0),
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
        // Only this CPU's interrupt sets it, so one that comes in between is seen or comes later.
        if self.fired.load(Ordering::Relaxed) {
            self.fired.store(false, Ordering::Relaxed);
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
}

/// The CPU's number.
#[inline]
pub(super) fn this_id() -> u32 {
    arch::cpu::this_cpu().id()
}

#[inline]
pub(super) fn this() -> &'static Cpu {
    let id = this_id();
    // Who runs on another has been given it (`enter`).
    if id == 0 {
        &FIRST
    } else {
        other(id).unwrap_or(&FIRST)
    }
}

fn other(id: u32) -> Option<&'static Cpu> {
    OTHERS.get(usize_of32(id))?.get().map(|cpu| &**cpu)
}

/// CPU number `id`.
pub(super) fn cpu(id: u32) -> Option<&'static Cpu> {
    if id == 0 { Some(&FIRST) } else { other(id) }
}

/// All CPUs there are, by number.
pub(super) fn all() -> impl Iterator<Item = (u32, &'static Cpu)> {
    (0..smp::count()).filter_map(|id| Some((id, cpu(id)?)))
}

/// Makes room for CPU number `id`, which isn't the first.
pub(super) fn add(id: u32) -> Result<(), OutOfMemory> {
    let slot = OTHERS.get(usize_of32(id)).ok_or(OutOfMemory)?;
    slot.try_call_once(|| {
        let _charge = kmem::charge(size_of::<Cpu>())?;
        Ok(Box::new(Cpu::new()))
    })?;
    Ok(())
}

/// Makes the boot the first thread. From here on waits work, and threads can be spawned.
pub(crate) fn init() -> Result<(), OutOfMemory> {
    let thread = Thread::boot()?;
    thread.start_running(time::cycles());
    *this().current.lock() = Some(thread);
    stacks::init()?;
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
        idle.start_running(time::cycles());
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

/// Makes a thread that runs look whether it may go on, where it runs and before others, and at its notices, before it
/// enters user mode again.
pub(super) fn interrupt(thread: &Thread) {
    if thread.on_cpu.load(Ordering::SeqCst) {
        balance::kick(thread.cpu.load(Ordering::Relaxed));
    }
}

/// The same, at its notices only.
pub(super) fn prod(thread: &Thread) {
    if thread.on_cpu.load(Ordering::SeqCst) {
        balance::prod(thread.cpu.load(Ordering::Relaxed));
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
