//! System calls that a program serves itself: `prctl(PR_SET_SYSCALL_USER_DISPATCH)`
//! (Documentation/admin-guide/syscall-user-dispatch.rst).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::addr::{TASK_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::signal::{SigInfo, Signal};

use super::seccomp::refusal;
use super::signal::{force, force_unseen};
use super::task::Task;
use crate::arch::user::UserContext;

/// Bit of a task's `attention`: it serves calls itself.
const DISPATCHED: u32 = 8;
/// `SYS_USER_DISPATCH` (asm-generic/siginfo.h).
const SYS_USER_DISPATCH: i32 = 2;

/// Which calls a program serves itself.
#[derive(Clone, Copy, Default)]
pub(super) struct Dispatch {
    /// Code whose calls are the kernel's.
    start: u64,
    len: u64,
    /// A byte that switches it off (0) and on (1); or null.
    selector: UserAddr,
}

/// Switches it on: calls from outside the range come back as SIGSYS.
///
/// # Errors
/// `EINVAL` for a range that wraps, `EFAULT` for a byte outside the program's space.
pub(crate) fn switch_on(
    task: &Task,
    start: u64,
    len: u64,
    selector: UserAddr,
) -> Result<(), Errno> {
    if start != 0 && start.wrapping_add(len) <= start {
        return Err(Errno::EINVAL);
    }
    if selector.raw() >= TASK_SIZE {
        return Err(Errno::EFAULT);
    }
    *task.dispatch.lock() = Dispatch {
        start,
        len,
        selector,
    };
    task.attend(DISPATCHED);
    Ok(())
}

/// Switches it off.
pub(crate) fn switch_off(task: &Task) {
    task.attend_no_more(DISPATCHED);
}

/// Whether a call is the kernel's. Otherwise SIGSYS is on its way.
pub(super) fn passes(task: &Arc<Task>, regs: &mut UserContext) -> bool {
    if task.attention.load(Ordering::Relaxed) & DISPATCHED == 0 {
        return true;
    }
    let Dispatch {
        start,
        len,
        selector,
    } = *task.dispatch.lock();
    if regs.rip.wrapping_sub(start) < len {
        return true;
    }
    if !selector.is_null() {
        let state = task
            .space()
            .and_then(|space| space.read_val::<u8>(selector));
        match state {
            Ok(0) => return true,
            Ok(1) => {}
            Ok(_) => return ended(task, Signal::SYS),
            Err(_) => return ended(task, Signal::SEGV),
        }
    }
    let info = refusal(regs, SYS_USER_DISPATCH, 0);
    regs.rax = regs.orig_rax;
    force(task, info);
    false
}

fn ended(task: &Arc<Task>, signal: Signal) -> bool {
    force_unseen(task, SigInfo::kernel(signal));
    false
}
