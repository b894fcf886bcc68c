//! What every user thread runs: user mode until it stops, then whatever it stopped for.
//!
//! A call that nothing stands in the way of is served from within user mode's run ([`Running`]) and the
//! program goes on at once. Everything else, a signal say or a tracer, leaves a notice at the thread, and
//! then [`main_loop`] goes round.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use super::{Call, trace};
use crate::arch::debug;
use crate::arch::user::{self, AfterCall, AfterFault, Fault, Program, Stop, UserContext};
use crate::process::{self, Held, Task, rseq};
use crate::sched::{
    self, NOTIFY_AGAIN, NOTIFY_ATTENDED, NOTIFY_MOVED, NOTIFY_REGISTERS, NOTIFY_SHARED, Thread,
};

/// A task while nobody attends to its calls. The call is first: its handlers take the same address.
#[repr(C)]
struct Running<'a> {
    call: Call<'a>,
    thread: &'a Thread,
}

impl Program for Running<'_> {
    #[inline]
    fn context(&mut self) -> &mut UserContext {
        self.call.regs
    }

    fn syscall(&mut self) -> AfterCall {
        let thread = self.thread;
        if thread.has_notice() {
            return unserved();
        }
        thread.leave_user();
        self.call.dispatch(|call, handler| handler(call));
        if thread.has_notice() {
            return after_notice(thread);
        }
        thread.enter_user();
        AfterCall::Resume
    }

    fn page_fault(&mut self, fault: Fault) -> AfterFault {
        self.thread.leave_user();
        let switches = self.thread.switches();
        process::on_page_fault(self.call.task, self.call.space, fault);
        self.thread.enter_user();
        // It may have been in a critical section (`rseq`).
        if self.thread.has_notice() || self.thread.switches() != switches {
            return AfterFault::Stop;
        }
        AfterFault::Resume
    }
}

#[cold]
#[inline(never)]
fn unserved() -> AfterCall {
    AfterCall::Unserved
}

#[cold]
fn after_notice(thread: &Thread) -> AfterCall {
    if thread.is_notified(NOTIFY_REGISTERS) {
        AfterCall::Replaced
    } else {
        AfterCall::Stop
    }
}

/// Runs `task` in user mode from `regs` on; returns when the task has ended.
pub(crate) fn main_loop(task: Arc<Task>, mut regs: UserContext) {
    let Some(thread) = task.thread().cloned() else {
        return;
    };
    // A signal may have come before the thread's first instruction.
    if task.has_work() && process::work(&task, &mut regs) == ControlFlow::Break(()) {
        return process::end_task(&task);
    }
    let Some(mut held) = task.hold() else {
        return;
    };
    if task.is_attended() || trace::enabled() {
        thread.note(NOTIFY_ATTENDED);
    }
    // Only where a tracer has had its say can it have changed.
    let mut watched = task.breakpoints();
    loop {
        while thread.take_notice(NOTIFY_MOVED) {
            rseq::tell_cpu(&task);
        }
        thread.enter_user();
        let stop = match &watched {
            None => {
                let call = Call::new(&task, &held, &mut regs, false);
                let thread = &thread;
                user::run(&mut Running { call, thread })
            }
            Some(breakpoints) => debug::run(&mut regs, breakpoints),
        };
        if stop != Stop::Served {
            thread.leave_user();
        }
        match stop {
            // It wants to be made again, with all registers.
            Stop::Served if thread.take_notice(NOTIFY_AGAIN) => {
                serve(&task, &thread, &held, &mut regs);
            }
            Stop::Served => {}
            Stop::Syscall => serve(&task, &thread, &held, &mut regs),
            Stop::Fault(fault) => {
                process::on_fault(&task, &regs, fault);
                interrupted(&task, &mut regs);
            }
            Stop::Interrupt => interrupted(&task, &mut regs),
        }
        if !thread.has_notice() {
            continue;
        }
        if sched::hold(&thread) {
            process::tell_overrun(&task);
        }
        thread.clear_notice(NOTIFY_REGISTERS);
        if thread.is_notified(NOTIFY_SHARED) {
            thread.clear_notice(NOTIFY_SHARED);
            held = match task.hold() {
                Some(held) => held,
                None => return,
            };
        }
        if task.has_work() && process::work(&task, &mut regs) == ControlFlow::Break(()) {
            // Its files are closed before anybody hears of the end.
            drop(held);
            return process::end_task(&task);
        }
        watched = task.breakpoints();
    }
}

fn interrupted(task: &Arc<Task>, regs: &mut UserContext) {
    sched::resched();
    rseq::after_interrupt(task, regs);
}

/// Serves a call that something had to be looked at for. Should another thread run first, `run` comes
/// back at once.
fn serve(task: &Arc<Task>, thread: &Thread, held: &Held, regs: &mut UserContext) {
    let mut run = |regs: &mut UserContext| {
        Call::new(task, held, regs, true).dispatch(|call, handler| {
            if trace::enabled() {
                trace::traced(call, handler)
            } else {
                handler(call)
            }
        });
    };
    if !task.is_attended() && !trace::enabled() {
        thread.clear_notice(NOTIFY_ATTENDED);
        // Somebody may begin to between the two.
        if task.is_attended() {
            thread.note(NOTIFY_ATTENDED);
        }
    }
    if task.is_attended() {
        process::ptrace::around_syscall(task, regs, &mut run);
    } else {
        run(regs);
    }
}
