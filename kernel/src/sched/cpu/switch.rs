//! The switch from one thread to another ([`schedule`]), and what a CPU does without a thread to run.
//!
//! The thread that leaves stays `on_cpu` until the next one, on its own stack, has put its stack
//! pointer away ([`finish_switch`]); only then may another CPU take it, and only then one that must
//! move goes into its new CPU's queue. No reference count lives on the stack of a thread that ends.
//!
//! A CPU with nothing to do idles on the stack of the thread that ran last; a thread that may not run
//! there any more is got rid of through the CPU's idle thread.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use x86_64::instructions::interrupts;

use super::super::thread::Thread;
use super::super::{account, balance, budget};
use super::queue::{Place, Turn};
use super::{Cpu, Leave, hand_over, this, this_id};
use crate::arch::segments::Segments;
use crate::arch::{self, ipi, switch, time};
use crate::mm::frame;
use crate::mm::paging::{self, shootdown};
use crate::mm::vmalloc;

/// Gives the CPU to the thread whose turn it is; returns when it is this one's again, perhaps on
/// another CPU.
pub(super) fn schedule(leave: Leave) {
    let cycles = time::cycles();
    let now = time::ns_at(cycles);
    account::before_change(now);
    // Whatever asked for a look at the queue has it now. First, for a timer that comes later asks anew.
    arch::cpu::this_cpu().take_need_resched();
    this().preempt.store(false, Ordering::Relaxed);
    this().run_timers(now);
    let were_on = interrupts::are_enabled();
    interrupts::disable();
    vmalloc::quiesce();
    let cpu = this();
    let away = put_back(cpu, leave, cycles);
    match pick(cpu, away) {
        Some(turn) => switch_to(cpu, turn, now),
        None => {
            let turn = idle(cpu);
            switch_to(cpu, turn, time::now_ns());
        }
    }
    if were_on {
        interrupts::enable();
    }
    // What the previous thread was the last to hold goes now, with interrupts on.
    drop(cpu_previous());
}

/// Puts the running thread, which leaves when the TSC is `cycles`, where it belongs, or notes that this is another CPU,
/// and whether it is. Interrupts are off.
fn put_back(cpu: &Cpu, leave: Leave, cycles: u64) -> bool {
    let current = cpu.current.lock();
    let Some(thread) = current.as_ref() else {
        return false;
    };
    thread.stop_running(cycles);
    cpu.left_at.store(cycles, Ordering::Relaxed);
    cpu.counts.leave(thread, cycles);
    if !matches!(leave, Leave::Yield | Leave::Preempted) {
        return false;
    }
    let id = this_id();
    if leave == Leave::Preempted
        && let Some((to, _)) = balance::less_urgent(thread)
    {
        cpu.sends_to.store(to + 1, Ordering::Relaxed);
        return true;
    }
    if thread.may_run_on(id) {
        let place = if leave == Leave::Preempted {
            Place::First
        } else {
            Place::Kept
        };
        cpu.push(id, Arc::clone(thread), place, time::ns_at(cycles));
        return false;
    }
    cpu.sends_to
        .store(balance::another(thread) + 1, Ordering::Relaxed);
    true
}

fn cpu_previous() -> Option<Arc<Thread>> {
    this().previous.lock().take()
}

/// The next thread; the CPU's idle one when there is none and the last is `away`, so that its stack isn't idled on.
/// Interrupts are off.
fn pick(cpu: &Cpu, away: bool) -> Option<Turn> {
    balance::pull_urgent(cpu);
    let next = cpu.pop();
    if next.is_none() && away {
        return cpu.idle_thread.lock().clone().map(alone);
    }
    next
}

/// The turn of a thread beside which nobody waits.
fn alone(thread: Arc<Thread>) -> Turn {
    Turn {
        rank: thread.rank(),
        thread,
        others: false,
    }
}

/// Waits for a thread to run, on the stack of the last. Interrupts are off.
fn idle(cpu: &Cpu) -> Turn {
    let mut since = time::now_ns();
    balance::enter_idle();
    cpu.idling.store(true, Ordering::SeqCst);
    shootdown::enter_idle();
    loop {
        // The timer's interrupt may have come just before interrupts went off: it comes once.
        while cpu.fired.load(Ordering::Relaxed) {
            interrupts::enable();
            cpu.run_timers(time::now_ns());
            interrupts::disable();
        }
        // Before the look at the queues: whoever adds a thread later sets it and wakes this CPU. And after the
        // timers, whose interrupts set it, too: a CPU that halted with it set would never be woken.
        arch::cpu::this_cpu().take_need_resched();
        let found = cpu.pop().or_else(|| balance::steal().map(alone));
        if let Some(next) = found {
            let now = time::now_ns();
            account::before_change(now);
            if is_current(cpu, &next.thread) {
                cpu.counts.switch(&next.thread, now);
            }
            cpu.left_at.store(time::cycles(), Ordering::Relaxed);
            cpu.idling.store(false, Ordering::Relaxed);
            balance::leave_idle();
            shootdown::leave_idle();
            cpu.idle_ns
                .fetch_add(time::now_ns() - since, Ordering::Relaxed);
            return next;
        }
        if frame::zero_one() {
            // In small steps: whoever has something to do comes in between.
            interrupts::enable();
            core::hint::spin_loop();
        } else {
            arch::idle();
        }
        interrupts::disable();
        let now = time::now_ns();
        cpu.idle_ns.fetch_add(now - since, Ordering::Relaxed);
        since = now;
        balance::enter_idle();
    }
}

fn is_current(cpu: &Cpu, thread: &Arc<Thread>) -> bool {
    let current = cpu.current.lock();
    current
        .as_ref()
        .is_some_and(|current| Arc::ptr_eq(current, thread))
}

/// Switches to the thread whose turn it is; interrupts are off.
fn switch_to(cpu: &'static Cpu, turn: Turn, now: u64) {
    let Turn {
        thread: next,
        rank,
        others,
    } = turn;
    // A switch is the next thread's time: threads of real time that do nothing else would otherwise
    // never have had what they may.
    next.start_running(cpu.left_at.load(Ordering::Relaxed));
    next.on_since.store(now, Ordering::Relaxed);
    cpu.running.store(rank.to_word(), Ordering::Relaxed);
    if let Some(at) = budget::tick(&next, now, others) {
        cpu.arm(at);
    }
    // Woken here because its stack was in use here: it goes before it enters user mode. One that takes over from one
    // that is held has no time either, and is held there.
    if !next.may_run_on(this_id()) || budget::is_spent(&next, cpu, now) {
        arch::cpu::this_cpu().set_need_resched();
    }
    let mut current = cpu.current.lock();
    if current
        .as_ref()
        .is_some_and(|thread| Arc::ptr_eq(thread, &next))
    {
        return;
    }
    while next.on_cpu.swap(true, Ordering::Acquire) {
        ipi::relax();
    }
    next.move_to(this_id());
    cpu.counts.switch(&next, now);
    if let Some(thread) = current.as_ref()
        && let Some(fpu) = &thread.fpu
    {
        fpu.lock().save();
        thread.segments.store(Segments::get());
    }
    load(&next);
    let stack_pointer = next.stack_pointer.load(Ordering::Relaxed);
    let previous = current.replace(next);
    drop(current);
    *cpu.previous.lock() = previous;
    switch::switch(&cpu.previous_stack, stack_pointer);
    finish_switch();
}

/// Loads what user mode needs of a thread: FPU state, segment registers and address space.
fn load(next: &Thread) {
    // First, for a selector may name a descriptor of the space's own table.
    if let Some(root) = next.root.lock().as_ref() {
        root.load();
    }
    if let Some(fpu) = &next.fpu {
        fpu.lock().restore();
        next.segments.load().set();
    }
}

/// On the new thread's stack: the previous one is off the CPU now.
pub(in crate::sched) fn finish_switch() {
    let cpu = this();
    if let Some(previous) = cpu.previous.lock().as_ref() {
        let stack_pointer = cpu.previous_stack.load(Ordering::Relaxed);
        previous
            .stack_pointer
            .store(stack_pointer, Ordering::Relaxed);
        previous.on_cpu.store(false, Ordering::Release);
        // Not before: two CPUs that send each other their threads would wait for each other.
        let sends_to = cpu.sends_to.swap(0, Ordering::Relaxed);
        if let Some(to) = sends_to.checked_sub(1)
            && let Some(other) = super::cpu(to)
        {
            hand_over(to, other, Arc::clone(previous));
        }
    }
}

/// The thread's address space is another one now, or none.
pub(in crate::sched) fn root_changed(thread: &Arc<Thread>) {
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
