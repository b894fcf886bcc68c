//! A program's registers in ptrace's order (`struct user_regs_struct`, `struct user`; sys/user.h).

use kiln_core::addr::TASK_SIZE;
use kiln_core::errno::Errno;
use kiln_core::num::low16;

use super::Frame;
use crate::arch::segments::Segments;
use crate::arch::user::UserContext;

/// How many registers there are.
pub(super) const COUNT: usize = 27;
/// Bytes of `struct user`.
pub(super) const USER_SIZE: u64 = 928;
/// The flags that a tracer may change (`FLAG_MASK`, arch/x86/kernel/ptrace.c).
const FLAGS: u64 = 0x5_4DD5;

/// All of them.
pub(super) fn read(regs: &UserContext, segments: Segments) -> [u64; COUNT] {
    let selectors = segments.selectors;
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
        regs.cs.into(),
        regs.rflags,
        regs.rsp,
        regs.ss.into(),
        segments.fs,
        segments.gs,
        selectors.ds.into(),
        selectors.es.into(),
        selectors.fs.into(),
        selectors.gs.into(),
    ]
}

/// Sets one of them.
///
/// # Errors
/// `EIO` for a selector or base that a program can't have.
pub(super) fn write(frame: &mut Frame, index: usize, value: u64) -> Result<(), Errno> {
    let Frame { regs, segments, .. } = frame;
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
        21 => &mut segments.fs,
        22 => &mut segments.gs,
        17 | 20 | 23..=26 => return write_selector(frame, index, low16(value)),
        _ => return Err(Errno::EIO),
    };
    *place = value;
    Ok(())
}

/// A segment register. Only code and stack must be there; whether a selector names anything is the CPU's to say.
fn write_selector(frame: &mut Frame, index: usize, selector: u16) -> Result<(), Errno> {
    let needed = matches!(index, 17 | 20);
    if selector & 3 != 3 && (selector != 0 || needed) {
        return Err(Errno::EIO);
    }
    let selectors = &mut frame.segments.selectors;
    *match index {
        17 => &mut frame.regs.cs,
        20 => &mut frame.regs.ss,
        23 => &mut selectors.ds,
        24 => &mut selectors.es,
        25 => &mut selectors.fs,
        _ => &mut selectors.gs,
    } = selector;
    Ok(())
}
