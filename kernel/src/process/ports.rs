//! I/O ports for programs that may use them (ioperm(2), iopl(2)): nothing is behind them.
//!
//! The CPU never lets a program reach a port: behind some of them are the job's status and the kernel's own devices.
//! An instruction that uses one faults, and is carried out here as on a bus where nobody answers (decision 0250).

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{low16, u64_of};
use kiln_core::ports::{Access, Ports, accumulator};

use super::task::Task;
use crate::arch::user::UserContext;
use crate::fs::memory::try_arc;

/// Most bytes of an instruction (Intel SDM volume 2, 2.3.11).
const LONGEST: usize = 15;
/// The direction flag: strings go down.
const DOWN: u64 = 1 << 10;

/// `ioperm(2)`; the range has been checked. `EPERM` for who may not allow itself any.
pub(crate) fn allow(task: &Arc<Task>, from: u16, count: usize, on: bool) -> Result<(), Errno> {
    if on && !task.creds().has(abi::CAP_SYS_RAWIO) {
        return Err(Errno::EPERM);
    }
    if !on && task.ports.lock().is_none() {
        return Ok(());
    }
    change(task, &|ports| ports.allow(from, count, on))
}

/// `iopl(2)`, with a level up to 3. `EPERM` for who may not raise it.
pub(crate) fn set_level(task: &Arc<Task>, level: u8) -> Result<(), Errno> {
    let now = task.ports.lock().as_ref().map_or(0, |ports| ports.level);
    if level > now && !task.creds().has(abi::CAP_SYS_RAWIO) {
        return Err(Errno::EPERM);
    }
    if level == now {
        return Ok(());
    }
    change(task, &|ports| {
        ports.level = level;
        Ok(())
    })
}

/// Changes the task's own ports: those that it shares with its relatives stay as they are.
fn change(task: &Arc<Task>, work: &dyn Fn(&mut Ports) -> Result<(), Errno>) -> Result<(), Errno> {
    let old = task.ports.lock().clone();
    let mut ports = old.as_deref().map_or(Ok(Ports::default()), Ports::copy)?;
    work(&mut ports)?;
    let fresh = try_arc(ports)?;
    *task.ports.lock() = Some(fresh);
    Ok(())
}

/// Carries out the instruction that raised a general protection fault, if it uses ports and may.
#[cold]
#[inline(never)]
pub(super) fn serve(task: &Arc<Task>, regs: &mut UserContext) -> bool {
    let Some(ports) = task.ports.lock().clone() else {
        return false;
    };
    instruction(task, &ports, regs).is_some()
}

fn instruction(task: &Arc<Task>, ports: &Ports, regs: &mut UserContext) -> Option<()> {
    let space = task.space().ok()?;
    let mut bytes = [0; LONGEST];
    let there = space.copy_in_some(&mut bytes, UserAddr::new(regs.rip));
    let access = Access::decode(bytes.get(..there)?)?;
    let port = access.port.map_or(low16(regs.rdx), u16::from);
    if !ports.may(port, access.size) {
        return None;
    }
    let mut ends = true;
    if !access.string {
        if !access.out {
            regs.rax = accumulator(regs.rax, access.size);
        }
    } else if !access.repeats || regs.rcx != 0 {
        let mut data = [0xFF; 4];
        let data = data.get_mut(..access.size)?;
        let index = if access.out {
            &mut regs.rsi
        } else {
            &mut regs.rdi
        };
        match access.out {
            true => space.copy_in(data, UserAddr::new(*index)).ok()?,
            false => space.copy_out(UserAddr::new(*index), data).ok()?,
        }
        let step = u64_of(access.size);
        *index = match regs.rflags & DOWN {
            0 => index.wrapping_add(step),
            _ => index.wrapping_sub(step),
        };
        if access.repeats {
            // One at a time: signals are heeded between.
            regs.rcx -= 1;
            ends = regs.rcx == 0;
        }
    }
    if ends {
        regs.rip = regs.rip.wrapping_add(access.len.into());
    }
    Some(())
}
