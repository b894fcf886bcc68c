//! What every user thread runs: user mode until it stops, then whatever it stopped for.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use super::dispatch;
use crate::arch::debug;
use crate::arch::user::{self, Stop, UserContext};
use crate::process::{self, Task, rseq};
use crate::sched::{self, NOTIFY_KILL, NOTIFY_SHARED, NOTIFY_SIGNAL};

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
    let mut cpu = 0;
    // Only where a tracer has had its say can it have changed.
    let mut watched = task.breakpoints();
    loop {
        if thread.last_cpu() != cpu {
            cpu = rseq::tell_cpu(&task, cpu);
        }
        thread.enter_user();
        let stop = match &watched {
            None => user::run(&mut regs),
            Some(breakpoints) => debug::run(&mut regs, breakpoints),
        };
        thread.leave_user();
        if stop == Stop::Syscall {
            // Should another thread run first, `run` comes back at once.
            if task.is_attended() {
                let mut run = |regs: &mut UserContext| dispatch(&task, &held, regs);
                process::ptrace::around_syscall(&task, &mut regs, &mut run);
                watched = task.breakpoints();
            } else {
                dispatch(&task, &held, &mut regs);
            }
        } else {
            if let Stop::Fault(fault) = stop {
                process::on_fault(&task, &regs, fault);
            }
            sched::resched();
            rseq::after_interrupt(&task, &mut regs);
        }
        if sched::hold(&thread) {
            process::tell_overrun(&task);
        }
        if thread.is_notified(NOTIFY_KILL | NOTIFY_SIGNAL | NOTIFY_SHARED) {
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
}
