//! A program's registers in ptrace's order (`struct user_regs_struct`, `struct user`; sys/user.h).

use kiln_core::addr::TASK_SIZE;
use kiln_core::errno::Errno;

use super::Frame;
use crate::arch::user::{Bases, UserContext};

/// How many registers there are.
pub(super) const COUNT: usize = 27;
/// Bytes of `struct user`.
pub(super) const USER_SIZE: u64 = 928;
/// The flags that a tracer may change (`FLAG_MASK`, arch/x86/kernel/ptrace.c).
const FLAGS: u64 = 0x5_4DD5;
/// Selectors of user code and data.
const CODE: u64 = 0x33;
const DATA: u64 = 0x2b;

/// All of them.
pub(super) fn read(regs: &UserContext, bases: Bases) -> [u64; COUNT] {
    [
        regs.r15,
        regs.r14,
        regs.r13,
        regs.r12,
        regs.rbp,
        regs.rbx,
        regs.r11,
        regs.r10,
        regs.r9,
        regs.r8,
        regs.rax,
        regs.rcx,
        regs.rdx,
        regs.rsi,
        regs.rdi,
        regs.orig_rax,
        regs.rip,
        CODE,
        regs.rflags,
        regs.rsp,
        DATA,
        bases.fs,
        bases.gs,
        0,
        0,
        0,
        0,
    ]
}

/// Sets one of them.
///
/// # Errors
/// `EIO` for a selector or base that a program can't have.
pub(super) fn write(frame: &mut Frame, index: usize, value: u64) -> Result<(), Errno> {
    let Frame { regs, bases, .. } = frame;
    let place = match index {
        0 => &mut regs.r15,
        1 => &mut regs.r14,
        2 => &mut regs.r13,
        3 => &mut regs.r12,
        4 => &mut regs.rbp,
        5 => &mut regs.rbx,
        6 => &mut regs.r11,
        7 => &mut regs.r10,
        8 => &mut regs.r9,
        9 => &mut regs.r8,
        10 => &mut regs.rax,
        11 => &mut regs.rcx,
        12 => &mut regs.rdx,
        13 => &mut regs.rsi,
        14 => &mut regs.rdi,
        15 => &mut regs.orig_rax,
        16 => &mut regs.rip,
        18 => {
            regs.rflags = regs.rflags & !FLAGS | value & FLAGS;
            return Ok(());
        }
        19 => &mut regs.rsp,
        21 | 22 if value >= TASK_SIZE => return Err(Errno::EIO),
        21 => &mut bases.fs,
        22 => &mut bases.gs,
        // Selectors: of code and stack, a program's own only; the others are kept as they are.
        17 | 20 if value & 3 != 3 => return Err(Errno::EIO),
        23..=26 if value != 0 && value & 3 != 3 => return Err(Errno::EIO),
        17 | 20 | 23..=26 => return Ok(()),
        _ => return Err(Errno::EIO),
    };
    *place = value;
    Ok(())
}
