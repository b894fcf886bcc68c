//! A tracee's breakpoints, as `u_debugreg` of `struct user` shows and takes them (arch/x86/kernel/ptrace.c).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::addr::TASK_SIZE;
use kiln_core::errno::Errno;
use kiln_core::num::low32;

use super::super::task::Task;
use super::request::check;
use crate::arch::debug::{Breakpoints, COUNT};

/// Bit of a task's `attention`: breakpoints count for it.
const WATCHED: u32 = 16;
/// Bit of a task's `attention`, and of its habits: it mayn't read the time-stamp counter.
const TIMELESS: u32 = 32;
/// Bits of DR6 that read as one until a tracer says otherwise (`DR6_RESERVED`). What is kept is the difference.
const STATUS_ONES: u64 = 0xFFFF_0FF0;
/// Bits of DR7 that a program can't have: reserved ones, and the one that guards the registers themselves (`DR_CONTROL_RESERVED`).
const CONTROL_RESERVED: u64 = 0xFFFF_FFFF_0000_FC00;
/// Of DR6: which breakpoint, or a single step.
const REASONS: u64 = 0x400F;
const STATUS: usize = 6;
const CONTROL: usize = 7;

impl Task {
    /// The breakpoints that count for it, if any do.
    pub(crate) fn breakpoints(&self) -> Option<Breakpoints> {
        let attention = self.attention.load(Ordering::Relaxed);
        if attention & (WATCHED | TIMELESS) == 0 {
            return None;
        }
        let set = self.trace.lock().breakpoints;
        Some(Breakpoints {
            no_time: attention & TIMELESS != 0,
            ..set
        })
    }

    /// Whether reading the time-stamp counter is a fault of it (`PR_TSC_SIGSEGV`).
    pub(crate) fn is_timeless(&self) -> bool {
        self.habits.load(Ordering::Relaxed) & TIMELESS != 0
    }

    /// Makes it one, or none: `PR_SET_TSC`.
    pub(crate) fn set_timeless(&self, timeless: bool) {
        if timeless {
            self.habits.fetch_or(TIMELESS, Ordering::Relaxed);
            self.attend(TIMELESS);
        } else {
            self.habits.fetch_and(!TIMELESS, Ordering::Relaxed);
            self.attend_no_more(TIMELESS);
        }
    }

    /// A debug exception came, for these reasons.
    pub(in crate::process) fn note_debug(&self, status: u64) {
        self.trace.lock().debug_status = status & REASONS;
    }

    /// A new program has none.
    pub(in crate::process) fn forget_breakpoints(&self) {
        self.attend_no_more(WATCHED);
        self.trace.lock().breakpoints = Breakpoints::default();
    }
}

/// Register `number`.
pub(super) fn read(tracer: &Arc<Task>, tracee: &Task, number: usize) -> Result<u64, Errno> {
    check(tracer, tracee)?;
    let slot = tracee.trace.lock();
    Ok(match number {
        STATUS => slot.debug_status ^ STATUS_ONES,
        CONTROL => slot.breakpoints.control,
        _ => slot.breakpoints.at.get(number).copied().unwrap_or(0),
    })
}

/// Sets register `number`.
///
/// # Errors
/// `EIO` when there is none; `EINVAL` for breakpoints that the processor hasn't, or not in a program's space.
pub(super) fn write(
    tracer: &Arc<Task>,
    tracee: &Task,
    number: usize,
    value: u64,
) -> Result<(), Errno> {
    check(tracer, tracee)?;
    let mut slot = tracee.trace.lock();
    let mut new = slot.breakpoints;
    match number {
        STATUS => {
            slot.debug_status = value ^ STATUS_ONES;
            return Ok(());
        }
        CONTROL => new.control = value & !CONTROL_RESERVED,
        _ => *new.at.get_mut(number).ok_or(Errno::EIO)? = value,
    }
    if new.at.iter().any(|at| *at >= TASK_SIZE) || !(0..COUNT).all(|index| is_possible(&new, index))
    {
        return Err(Errno::EINVAL);
    }
    slot.breakpoints = new;
    if low32(new.control) & 0xff == 0 {
        tracee.attend_no_more(WATCHED);
    } else {
        tracee.attend(WATCHED);
    }
    Ok(())
}

/// Whether the processor has such a breakpoint: of 1, 2, 4 or 8 bytes, aligned; of code without a size.
fn is_possible(breakpoints: &Breakpoints, index: usize) -> bool {
    let Some(kind) = breakpoints.kind(index) else {
        return true;
    };
    let at = breakpoints.at.get(index).copied().unwrap_or(0);
    let mask = match kind >> 2 {
        0 => 0,
        1 => 1,
        2 => 7,
        _ => 3,
    };
    match kind & 3 {
        0 => kind == 0,
        2 => false,
        _ => at & mask == 0,
    }
}
