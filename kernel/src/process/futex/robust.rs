//! Robust futexes (get_robust_list(2)): the list of those a task holds, which the program keeps and the kernel
//! goes through at the task's end.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;

use super::wake_word;
use crate::process::task::Task;
use crate::vm::AddressSpace;

/// set_robust_list(2).
pub(crate) fn set_robust_list(task: &Task, head: u64) {
    task.robust_list.store(head, Ordering::Relaxed);
}

/// get_robust_list(2).
pub(crate) fn robust_list(task: &Task) -> u64 {
    task.robust_list.load(Ordering::Relaxed)
}

/// Most entries of a robust list that are looked at (`ROBUST_LIST_LIMIT`).
const ROBUST_LIMIT: usize = 2048;

/// At a task's end: marks the robust futexes it holds as left behind by a dead owner, and wakes
/// a sleeper of each (get_robust_list(2)).
pub(in crate::process) fn release_robust_list(task: &Arc<Task>) {
    let head = task.robust_list.swap(0, Ordering::Relaxed);
    if head != 0
        && let Ok(space) = task.space()
    {
        // A list that can't be read ends there.
        let _ = walk_robust_list(task, &space, head);
    }
}

fn walk_robust_list(task: &Task, space: &Arc<AddressSpace>, head: u64) -> Result<(), Errno> {
    let word = |at: u64| space.read_val::<u64>(UserAddr::new(at));
    let offset = word(head.wrapping_add(8))?;
    let raw_pending = word(head.wrapping_add(16))?;
    let pending = raw_pending & !1;
    let mut entry = word(head)?;
    for _ in 0..ROBUST_LIMIT {
        // The low bit marks a priority-inheriting futex.
        let at = entry & !1;
        if at == head {
            break;
        }
        let next = word(at);
        if at != pending {
            let how = Robust {
                pending: false,
                owned: entry & 1 != 0,
            };
            release_robust(task, space, at.wrapping_add(offset), how)?;
        }
        entry = next?;
    }
    if pending != 0 {
        let how = Robust {
            pending: true,
            owned: raw_pending & 1 != 0,
        };
        release_robust(task, space, pending.wrapping_add(offset), how)?;
    }
    Ok(())
}

/// Which kind of entry of the list it is.
#[derive(Clone, Copy)]
struct Robust {
    /// It was being locked or unlocked.
    pending: bool,
    /// It is a lock with an owner ([`pi`](super::pi)), whose heir is found otherwise.
    owned: bool,
}

fn release_robust(
    task: &Task,
    space: &Arc<AddressSpace>,
    at: u64,
    how: Robust,
) -> Result<(), Errno> {
    let addr = UserAddr::new(at);
    if !addr.is_aligned(4) {
        return Err(Errno::EINVAL);
    }
    let mut value = space.load_u32(addr)?;
    loop {
        if how.pending && !how.owned && value == 0 {
            // It died between unlocking and waking.
            wake_word(space, addr, 1);
            return Ok(());
        }
        if value & abi::FUTEX_TID_MASK != task.tid() {
            return Ok(());
        }
        let left = value & abi::FUTEX_WAITERS | abi::FUTEX_OWNER_DIED;
        let seen = space.compare_exchange_u32(addr, value, left)?;
        if seen == value {
            if value & abi::FUTEX_WAITERS != 0 && !how.owned {
                wake_word(space, addr, 1);
            }
            return Ok(());
        }
        value = seen;
    }
}
