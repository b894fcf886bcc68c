//! What every user thread runs: user mode until it stops, then whatever it stopped for.

use alloc::sync::Arc;

use super::dispatch;
use crate::arch::user::{self, Stop, UserContext};
use crate::process::{self, Task};

/// Runs `task` in user mode from `regs` on until it ends.
pub(crate) fn main_loop(task: Arc<Task>, mut regs: UserContext) -> ! {
    loop {
        match user::run(&mut regs) {
            Stop::Syscall => dispatch(&task, &mut regs),
            Stop::Fault(fault) => process::on_fault(&task, &mut regs, fault),
            Stop::Interrupt => {}
        }
        if task.has_work() {
            process::work(&task, &mut regs);
        }
    }
}
