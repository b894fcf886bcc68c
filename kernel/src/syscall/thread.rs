//! What every user thread runs: user mode until it stops, then whatever it stopped for.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use super::dispatch;
use crate::arch::time::now_ns;
use crate::arch::user::{self, Stop, UserContext};
use crate::process::{self, Task, rseq};
use crate::sched;

/// Runs `task` in user mode from `regs` on; returns when the task has ended.
pub(crate) fn main_loop(task: Arc<Task>, mut regs: UserContext) {
    let Some(thread) = task.thread().cloned() else {
        return;
    };
    // A signal may have come before the thread's first instruction.
    if task.has_work() && process::work(&task, &mut regs) == ControlFlow::Break(()) {
        return;
    }
    let mut cpu = 0;
    loop {
        if thread.last_cpu() != cpu {
            cpu = rseq::tell_cpu(&task, cpu);
        }
        thread.account_system(now_ns());
        let stop = user::run(&mut regs);
        thread.account_user(now_ns());
        match stop {
            Stop::Syscall if task.is_traced() => {
                process::ptrace::around_syscall(&task, &mut regs, dispatch);
            }
            Stop::Syscall => dispatch(&task, &mut regs),
            Stop::Fault(fault) => process::on_fault(&task, &regs, fault),
            Stop::Interrupt => {}
        }
        sched::resched();
        if stop != Stop::Syscall {
            rseq::after_interrupt(&task, &mut regs);
        }
        if task.has_work() && process::work(&task, &mut regs) == ControlFlow::Break(()) {
            return;
        }
    }
}
