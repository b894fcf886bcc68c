//! Restartable sequences: rseq(2), linux/rseq.h.
//!
//! A program tells where it keeps a `struct rseq`; the kernel writes the CPU's number there, and
//! when a thread was switched away or gets a signal within a critical section that the structure
//! names, it goes on at the section's abort handler instead.

use alloc::sync::Arc;

use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::signal::{SigInfo, Signal};

use super::group::Process;
use super::signal::force;
use super::task::Task;
use crate::arch::user::UserContext;

/// Bytes of the first version of the structure.
const SIZE: u32 = 32;
/// `RSEQ_FLAG_UNREGISTER`.
const UNREGISTER: u32 = 1;
/// `cpu_id` of a structure that isn't registered.
const NO_CPU: u32 = u32::MAX;
/// Offset of the pointer to the critical section's description.
const SECTION_AT: u64 = 8;

/// What a task registered.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rseq {
    /// The structure; 0: none.
    addr: u64,
    signature: u32,
    /// How often the thread had left the CPU when its sections were last looked at.
    switches: u64,
}

/// rseq(2).
///
/// # Errors
/// As in the kernel's Documentation: `EINVAL`, `EPERM`, `EBUSY`, `EFAULT`.
pub(crate) fn register(
    task: &Arc<Task>,
    addr: UserAddr,
    len: u32,
    flags: u32,
    signature: u32,
) -> Result<(), Errno> {
    let now = *task.rseq.lock();
    if flags & UNREGISTER != 0 {
        if flags != UNREGISTER || now.addr == 0 || now.addr != addr.raw() || len != SIZE {
            return Err(Errno::EINVAL);
        }
        if now.signature != signature {
            return Err(Errno::EPERM);
        }
        write_cpu(task, addr, 0, NO_CPU)?;
        *task.rseq.lock() = Rseq::default();
        return Ok(());
    }
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    if now.addr != 0 {
        return Err(
            match (
                now.addr == addr.raw() && len == SIZE,
                now.signature == signature,
            ) {
                (false, _) => Errno::EINVAL,
                (true, false) => Errno::EPERM,
                (true, true) => Errno::EBUSY,
            },
        );
    }
    if len != SIZE || !addr.is_aligned(u64::from(SIZE)) {
        return Err(Errno::EINVAL);
    }
    let space = task.space()?;
    space.write_val(addr.checked_add(SECTION_AT).ok_or(Errno::EFAULT)?, &0u64)?;
    let cpu = task.thread().map_or(0, |thread| thread.last_cpu());
    write_cpu(task, addr, cpu, cpu)?;
    *task.rseq.lock() = Rseq {
        addr: addr.raw(),
        signature,
        switches: 0,
    };
    Ok(())
}

/// Writes `cpu_id_start`, `cpu_id`, and the fields behind `flags`, which are 0 on one node.
fn write_cpu(task: &Task, addr: UserAddr, start: u32, cpu: u32) -> Result<(), Errno> {
    let space = task.space()?;
    let mut bytes = [0; 8];
    let (first, second) = bytes.split_at_mut(4);
    first.copy_from_slice(&start.to_le_bytes());
    second.copy_from_slice(&cpu.to_le_bytes());
    space.copy_out(addr, &bytes)?;
    let behind = addr.checked_add(20).ok_or(Errno::EFAULT)?;
    space.zero_out(behind, 8)
}

/// exec: the registration goes.
pub(super) fn forget(task: &Task) {
    *task.rseq.lock() = Rseq::default();
}

/// fork keeps the registration, a thread of the same memory starts without.
pub(super) fn inherit(parent: &Task, child: &Task, shares_memory: bool) {
    if !shares_memory {
        *child.rseq.lock() = *parent.rseq.lock();
    }
}

/// After user mode was interrupted: when the thread was switched away since, a critical section
/// it was in starts over.
pub(crate) fn after_interrupt(task: &Arc<Task>, regs: &mut UserContext) {
    let Some(thread) = task.thread() else { return };
    let mut rseq = task.rseq.lock();
    if rseq.addr == 0 {
        return;
    }
    let (voluntary, involuntary) = thread.switches();
    let switches = voluntary + involuntary;
    if core::mem::replace(&mut rseq.switches, switches) == switches {
        return;
    }
    drop(rseq);
    abort_section(task, regs);
}

/// Makes every thread of the process start over when it is interrupted next, as if it had been switched away.
pub(crate) fn restart_all(process: &Process) {
    for task in &process.group.lock().tasks {
        task.rseq.lock().switches = u64::MAX;
        // One that is in the kernel, with a page fault say, would go on in its section uninterrupted.
        if let Some(thread) = task.thread() {
            thread.prod();
        }
    }
}

/// Before user mode, where the thread is on another CPU than before: tells the program. The writing may
/// sleep, and the thread be on yet another CPU after it, of which it gets notice.
pub(crate) fn tell_cpu(task: &Arc<Task>) {
    let Some(thread) = task.thread() else { return };
    let cpu = thread.last_cpu();
    let addr = task.rseq.lock().addr;
    if addr != 0 && write_cpu(task, UserAddr::new(addr), cpu, cpu).is_err() {
        force(task, SigInfo::kernel(Signal::SEGV));
    }
}

/// Before a handler runs: a critical section it interrupts starts over.
pub(super) fn before_handler(task: &Arc<Task>, regs: &mut UserContext) {
    if task.rseq.lock().addr != 0 {
        abort_section(task, regs);
    }
}

fn abort_section(task: &Arc<Task>, regs: &mut UserContext) {
    if try_abort(task, regs).is_err() {
        force(task, SigInfo::kernel(Signal::SEGV));
    }
}

fn try_abort(task: &Arc<Task>, regs: &mut UserContext) -> Result<(), Errno> {
    let rseq = *task.rseq.lock();
    let space = task.space()?;
    let pointer = UserAddr::new(rseq.addr.wrapping_add(SECTION_AT));
    let section: u64 = space.read_val(pointer)?;
    if section == 0 {
        return Ok(());
    }
    // version and flags, start_ip, post_commit_offset, abort_ip
    let words: [u64; 4] = space.read_val(UserAddr::new(section))?;
    let [version_and_flags, start, length, abort] = words;
    if kiln_core::num::low32(version_and_flags) != 0 {
        return Err(Errno::EINVAL);
    }
    let inside = regs.rip.wrapping_sub(start) < length;
    if inside {
        if abort.wrapping_sub(start) < length {
            return Err(Errno::EINVAL);
        }
        let signature: u32 = space.read_val(UserAddr::new(abort.wrapping_sub(4)))?;
        if signature != rseq.signature {
            return Err(Errno::EINVAL);
        }
    }
    space.write_val(pointer, &0u64)?;
    if inside {
        regs.rip = abort;
    }
    Ok(())
}
