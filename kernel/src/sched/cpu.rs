//! Each CPU's run queue, and the switch from one thread to another.
//!
//! [`schedule`] is the only place where a CPU changes threads. The thread that leaves stays `on_cpu`
//! until the next one, on its own stack, has put its stack pointer away ([`finish_switch`]); only
//! then may another CPU take it. No reference count lives on the stack of a thread that ends.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use kiln_core::num::usize_of32;
use kiln_core::runqueue::{RunQueue, SLICE_NS};
use x86_64::instructions::interrupts;

use super::thread::{NOTIFIED, PARKED, RUNNING, Thread};
use super::timer;
use crate::arch::cpu::MAX_CPUS;
use crate::arch::{self, apic, switch, time};
use crate::mm::OutOfMemory;
use crate::mm::paging;
use crate::mm::stack::KernelStack;
use crate::sync::{IrqLock, SpinLock};

/// Free kernel stacks kept for the next threads.
const KEPT_STACKS: usize = 8;
/// No timer interrupt is to come.
const UNARMED: u64 = u64::MAX;

/// What the scheduler keeps for a CPU.
struct Cpu {
    queue: IrqLock<RunQueue<Arc<Thread>>>,
    current: SpinLock<Option<Arc<Thread>>>,
    /// The thread that the running one took over from, during the switch.
    previous: SpinLock<Option<Arc<Thread>>>,
    /// Its stack pointer.
    previous_stack: AtomicU64,
    idling: AtomicBool,
    idle_ns: AtomicU64,
    /// A thread woke that should run at once.
    preempt: AtomicBool,
    /// The timer interrupt came and nobody has looked at the timers since.
    fired: AtomicBool,
    /// When the timer interrupt comes, or [`UNARMED`].
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
    /// It waits.
    Parked,
    /// It is over.
    Dead,
}

impl Cpu {
    const fn new() -> Self {
        Self {
            queue: IrqLock::new(RunQueue::new()),
            current: SpinLock::new(None),
            previous: SpinLock::new(None),
            previous_stack: AtomicU64::new(0),
            idling: AtomicBool::new(false),
            idle_ns: AtomicU64::new(0),
            preempt: AtomicBool::new(false),
            fired: AtomicBool::new(false),
            armed: AtomicU64::new(UNARMED),
        }
    }

    /// Makes the timer interrupt come at `deadline` or before.
    fn arm(&self, deadline: u64) {
        if deadline < self.armed.load(Ordering::Relaxed) {
            self.armed.store(deadline, Ordering::Relaxed);
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
}

#[expect(
    clippy::indexing_slicing,
    reason = "CPU numbers are below MAX_CPUS: only so many are started"
)]
fn this() -> &'static Cpu {
    &CPUS[usize_of32(arch::cpu::this_cpu().id())]
}

/// Makes the boot the first thread. From here on waits work, and threads can be spawned.
pub(crate) fn init() -> Result<(), OutOfMemory> {
    let thread = Thread::boot()?;
    thread.times.since.store(time::now_ns(), Ordering::Relaxed);
    *this().current.lock() = Some(thread);
    STACKS
        .lock()
        .try_reserve_exact(KEPT_STACKS)
        .map_err(|_| OutOfMemory)?;
    apic::on_timer(timer_interrupt);
    Ok(())
}

fn timer_interrupt() {
    let cpu = this();
    cpu.armed.store(UNARMED, Ordering::Relaxed);
    cpu.fired.store(true, Ordering::Relaxed);
    arch::cpu::this_cpu().set_need_resched();
}

/// The running thread.
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

/// How long the CPU has had nothing to do, in nanoseconds.
pub(crate) fn idle_ns() -> u64 {
    this().idle_ns.load(Ordering::Relaxed)
}

/// Makes room in the run queues for one more thread.
pub(super) fn reserve_place() -> Result<(), OutOfMemory> {
    let threads = THREADS.fetch_add(1, Ordering::Relaxed) + 1;
    let reserved = this().queue.lock().reserve(threads);
    reserved.map_err(|_| {
        release_place();
        OutOfMemory
    })
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
    }
}

/// Puts a woken thread into the queue.
pub(super) fn enqueue_woken(thread: Arc<Thread>) {
    let cpu = this();
    let mut queue = cpu.queue.lock();
    let placed = queue.placed(thread.virtual_time.load(Ordering::Relaxed));
    thread.virtual_time.store(placed, Ordering::Relaxed);
    queue.push(placed, thread);
    drop(queue);
    if cpu.idling.load(Ordering::Relaxed) {
        return;
    }
    // An interrupt may have come just while the running thread looked itself up.
    let preempts = cpu.current.try_lock().is_none_or(|current| {
        current.as_ref().is_none_or(|running| {
            RunQueue::<()>::preempts(placed, running.virtual_time.load(Ordering::Relaxed))
        })
    });
    if preempts {
        cpu.preempt.store(true, Ordering::Relaxed);
        arch::cpu::this_cpu().set_need_resched();
    } else {
        cpu.arm(time::now_ns().saturating_add(SLICE_NS));
    }
}

/// Makes a thread that runs look at its notices before it enters user mode again.
pub(super) fn interrupt(thread: &Thread) {
    if thread.on_cpu.load(Ordering::Acquire) {
        arch::cpu::this_cpu().set_need_resched();
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
pub(crate) fn resched() {
    if !arch::cpu::this_cpu().take_need_resched() {
        return;
    }
    let cpu = this();
    let thread = current();
    let now = time::now_ns();
    thread.account_system(now);
    cpu.run_timers(now);
    let preempt = cpu.preempt.swap(false, Ordering::Relaxed);
    let queue = cpu.queue.lock();
    if queue.is_empty() {
        return;
    }
    let running = thread.virtual_time.load(Ordering::Relaxed);
    let over = queue.slice_is_over(running, thread.weight.load(Ordering::Relaxed));
    drop(queue);
    if preempt || over {
        thread.times.involuntary.fetch_add(1, Ordering::Relaxed);
        drop(thread);
        schedule(Leave::Yield);
    } else {
        cpu.arm(now.saturating_add(SLICE_NS));
    }
}

/// Lets every other runnable thread run first.
pub(crate) fn yield_now() {
    let cpu = this();
    let thread = current();
    let first = cpu.queue.lock().first_time();
    if let Some(first) = first {
        thread.virtual_time.fetch_max(first, Ordering::Relaxed);
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

/// Gives the CPU to the thread whose turn it is; returns when it is this one's again.
fn schedule(leave: Leave) {
    let cpu = this();
    let now = time::now_ns();
    cpu.run_timers(now);
    let were_on = interrupts::are_enabled();
    interrupts::disable();
    if let Some(thread) = cpu.current.lock().as_ref() {
        thread.account_system(now);
        if leave == Leave::Yield {
            let time = thread.virtual_time.load(Ordering::Relaxed);
            cpu.queue.lock().push(time, Arc::clone(thread));
        }
    }
    let (next, others) = pick(cpu);
    switch_to(cpu, next, others);
    if were_on {
        interrupts::enable();
    }
    // What the previous thread was the last to hold goes now, with interrupts on.
    drop(cpu_previous());
}

fn cpu_previous() -> Option<Arc<Thread>> {
    this().previous.lock().take()
}

/// The next thread, and whether more are waiting; idles until there is one. Interrupts are off.
fn pick(cpu: &Cpu) -> (Arc<Thread>, bool) {
    let mut queue = cpu.queue.lock();
    if let Some((_, next)) = queue.pop() {
        return (next, !queue.is_empty());
    }
    drop(queue);
    idle(cpu)
}

fn idle(cpu: &Cpu) -> (Arc<Thread>, bool) {
    let mut since = time::now_ns();
    cpu.idling.store(true, Ordering::Relaxed);
    loop {
        let mut queue = cpu.queue.lock();
        if let Some((_, next)) = queue.pop() {
            cpu.idling.store(false, Ordering::Relaxed);
            return (next, !queue.is_empty());
        }
        drop(queue);
        // The timer's interrupt may have come just before interrupts went off: it comes once.
        if cpu.fired.load(Ordering::Relaxed) {
            interrupts::enable();
        } else {
            arch::idle();
        }
        let now = time::now_ns();
        cpu.idle_ns.fetch_add(now - since, Ordering::Relaxed);
        since = now;
        arch::cpu::this_cpu().take_need_resched();
        cpu.run_timers(now);
        interrupts::disable();
    }
}

/// Switches to `next`; interrupts are off.
fn switch_to(cpu: &'static Cpu, next: Arc<Thread>, others: bool) {
    let now = time::now_ns();
    next.times.since.store(now, Ordering::Relaxed);
    if others {
        cpu.arm(now.saturating_add(SLICE_NS));
    }
    let mut current = cpu.current.lock();
    if current
        .as_ref()
        .is_some_and(|thread| Arc::ptr_eq(thread, &next))
    {
        return;
    }
    while next.on_cpu.swap(true, Ordering::Acquire) {
        core::hint::spin_loop();
    }
    if let Some(fpu) = current.as_ref().and_then(|thread| thread.fpu.as_ref()) {
        fpu.lock().save();
    }
    load(&next);
    let stack_pointer = next.stack_pointer.load(Ordering::Relaxed);
    let previous = current.replace(next);
    drop(current);
    *cpu.previous.lock() = previous;
    switch::switch(&cpu.previous_stack, stack_pointer);
    finish_switch();
}

/// Loads what user mode needs of a thread: FPU state and address space.
fn load(next: &Thread) {
    if let Some(fpu) = &next.fpu {
        fpu.lock().restore();
    }
    if let Some(root) = next.root.lock().as_ref() {
        root.load();
    }
}

/// On the new thread's stack: the previous one is off the CPU now.
pub(super) fn finish_switch() {
    let cpu = this();
    if let Some(previous) = cpu.previous.lock().as_ref() {
        let stack_pointer = cpu.previous_stack.load(Ordering::Relaxed);
        previous
            .stack_pointer
            .store(stack_pointer, Ordering::Relaxed);
        previous.on_cpu.store(false, Ordering::Release);
    }
}

/// The thread's address space is another one now, or none.
pub(super) fn root_changed(thread: &Arc<Thread>) {
    let cpu = this();
    let is_current = cpu
        .current
        .lock()
        .as_ref()
        .is_some_and(|current| Arc::ptr_eq(current, thread));
    if !is_current {
        return;
    }
    let new = thread.root.lock().clone();
    match new {
        Some(root) => root.load(),
        None => paging::load_kernel(),
    }
}

/// Makes the timer interrupt come at `deadline` at the latest.
pub(super) fn arm(deadline: u64) {
    this().arm(deadline);
}
