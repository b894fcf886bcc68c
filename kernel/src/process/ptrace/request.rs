//! The tracer's side: what it may do with a tracee, most of it only while that is stopped.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};
use kiln_core::signal::{SigInfo, SigSet, Signal};

use super::super::events;
use super::super::signal::send;
use super::super::task::Task;
use super::event::Event;
use super::registers::{self, COUNT, USER_SIZE};
use super::{EVENT_STOP, Frame, Place, StopKind, Trace, debug, options, prod, unlink};
use crate::arch::fpu::{self, FpuState};

/// Bytes of the FPU's legacy area, `struct user_fpregs_struct`.
pub(crate) const FXSAVE: usize = 512;
/// Where the XSAVE area says which components there may be (`xstate_fx_sw_bytes`).
const COMPONENTS_AT: usize = 464;
/// `offsetof(struct user, u_debugreg)` and its size.
const DEBUG_REGISTERS: core::ops::Range<u64> = 848..912;
/// Size of a system call's story elsewhere than there, at its entry, at its exit and where a filter asks for the tracer
/// (`ptrace_syscall_info`, whose words are more than the last).
const INFO_SIZES: [usize; 4] = [24, 80, 33, 84];
const INFO_WORDS: usize = 11;
/// `AUDIT_ARCH_X86_64` (linux/audit.h).
const ARCH: u32 = 0xC000_003E;

/// How a stopped tracee goes on.
#[derive(Clone, Copy, Default)]
pub(crate) struct Resume {
    /// It stops at system calls.
    pub(crate) syscalls: bool,
    /// It stops at system calls and leaves them out.
    pub(crate) emulates: bool,
    /// It goes on for one instruction only.
    pub(crate) steps: bool,
}

fn is_tracer(trace: &Trace, tracer: &Arc<Task>) -> bool {
    Arc::ptr_eq(&trace.tracer, tracer)
}

/// Works on a tracee of the caller's that is stopped.
///
/// # Errors
/// `ESRCH` when it is none, and those of `work`.
fn stopped<R>(
    tracer: &Arc<Task>,
    tracee: &Task,
    work: impl FnOnce(&mut Trace, &mut StopKind, &mut Frame) -> Result<R, Errno>,
) -> Result<R, Errno> {
    let mut slot = tracee.trace.lock();
    let slot = &mut *slot;
    let (Some(trace), Some(frame)) = (slot.trace.as_mut(), slot.frame.as_mut()) else {
        return Err(Errno::ESRCH);
    };
    if !is_tracer(trace, tracer) || trace.listens || frame.resumed {
        return Err(Errno::ESRCH);
    }
    let mut kind = trace.stop.ok_or(Errno::ESRCH)?;
    let result = work(trace, &mut kind, frame);
    trace.stop = Some(kind);
    result
}

/// Checks that the tracee is one and stopped.
pub(crate) fn check(tracer: &Arc<Task>, tracee: &Task) -> Result<(), Errno> {
    stopped(tracer, tracee, |_, _, _| Ok(()))
}

/// A signal's number as `PTRACE_CONT` and its kin take it.
fn valid_signal(number: u64) -> Result<u32, Errno> {
    u32::try_from(number)
        .ok()
        .filter(|number| *number <= abi::NSIG)
        .ok_or(Errno::EIO)
}

/// `PTRACE_CONT` and its kin.
pub(crate) fn resume(
    tracer: &Arc<Task>,
    tracee: &Arc<Task>,
    signal: u64,
    how: Resume,
) -> Result<(), Errno> {
    stopped(tracer, tracee, |trace, kind, frame| {
        let signal = valid_signal(signal)?;
        trace.syscalls = how.syscalls;
        trace.emulates = how.emulates;
        trace.steps = how.steps;
        kind.news = false;
        frame.signal = signal;
        frame.resumed = true;
        Ok(())
    })?;
    tracee.trace_events.wake_all();
    Ok(())
}

/// `PTRACE_DETACH`.
pub(crate) fn detach(tracer: &Arc<Task>, tracee: &Arc<Task>, signal: u64) -> Result<(), Errno> {
    let signal = stopped(tracer, tracee, |_, _, _| valid_signal(signal))?;
    drop(unlink(tracee, signal));
    events::traced(tracee, None);
    // A process that is stopped stops the task again.
    prod(tracee);
    Ok(())
}

/// `PTRACE_KILL`: needs no stop.
pub(crate) fn kill(tracer: &Arc<Task>, tracee: &Arc<Task>) -> Result<(), Errno> {
    mine(tracer, tracee, |_| Ok(()))?;
    send(tracee.process(), SigInfo::kernel(Signal::KILL))
}

/// Works on a tracee of the caller's, stopped or not.
fn mine<R>(
    tracer: &Arc<Task>,
    tracee: &Task,
    work: impl FnOnce(&mut Trace) -> Result<R, Errno>,
) -> Result<R, Errno> {
    let mut slot = tracee.trace.lock();
    let trace = slot.trace.as_mut().filter(|trace| is_tracer(trace, tracer));
    work(trace.ok_or(Errno::ESRCH)?)
}

/// `PTRACE_INTERRUPT`: needs no stop.
pub(crate) fn interrupt(tracer: &Arc<Task>, tracee: &Arc<Task>) -> Result<(), Errno> {
    mine(tracer, tracee, |trace| {
        if !trace.seized {
            return Err(Errno::EIO);
        }
        trace.trap = true;
        Ok(())
    })?;
    prod(tracee);
    Ok(())
}

/// `PTRACE_LISTEN`.
pub(crate) fn listen(tracer: &Arc<Task>, tracee: &Arc<Task>) -> Result<(), Errno> {
    stopped(tracer, tracee, |trace, kind, _| {
        if !trace.seized || kind.code >> 8 != EVENT_STOP {
            return Err(Errno::EIO);
        }
        trace.listens = true;
        Ok(())
    })?;
    tracee.trace_events.wake_all();
    Ok(())
}

/// `PTRACE_SETOPTIONS`.
pub(crate) fn set_options(tracer: &Arc<Task>, tracee: &Task, value: u64) -> Result<(), Errno> {
    stopped(tracer, tracee, |trace, _, _| {
        trace.options = known_options(value).ok_or(Errno::EINVAL)?;
        Ok(())
    })
}

/// Options that there are.
pub(crate) fn known_options(value: u64) -> Option<u32> {
    let value = u32::try_from(value).ok()?;
    (value & !options::KNOWN == 0).then_some(value)
}

/// `PTRACE_GETEVENTMSG`.
pub(crate) fn message(tracer: &Arc<Task>, tracee: &Task) -> Result<u64, Errno> {
    stopped(tracer, tracee, |trace, _, _| Ok(trace.message))
}

/// `PTRACE_GETSIGINFO`.
pub(crate) fn signal_info(tracer: &Arc<Task>, tracee: &Task) -> Result<SigInfo, Errno> {
    stopped(tracer, tracee, |trace, kind, _| {
        trace.changed_info.or(kind.info).ok_or(Errno::EINVAL)
    })
}

/// `PTRACE_SETSIGINFO`.
pub(crate) fn set_signal_info(
    tracer: &Arc<Task>,
    tracee: &Task,
    info: SigInfo,
) -> Result<(), Errno> {
    stopped(tracer, tracee, |trace, kind, _| {
        kind.info.ok_or(Errno::EINVAL)?;
        trace.changed_info = Some(info);
        Ok(())
    })
}

/// `PTRACE_PEEKSIGINFO`: up to `count` queued signals from the `skip`th on.
pub(crate) fn queued(
    tracer: &Arc<Task>,
    tracee: &Task,
    shared: bool,
    skip: usize,
    count: usize,
) -> Result<Vec<SigInfo>, Errno> {
    check(tracer, tracee)?;
    let mut found = Vec::new();
    found
        .try_reserve(count.min(64))
        .map_err(|_| Errno::ENOMEM)?;
    let group = tracee.process().group.lock();
    let signals = tracee.signals.lock();
    let pending = if shared {
        &group.pending
    } else {
        &signals.pending
    };
    found.extend(pending.iter().skip(skip).take(count.min(64)).copied());
    Ok(found)
}

/// `PTRACE_GETSIGMASK`.
pub(crate) fn mask(tracer: &Arc<Task>, tracee: &Task) -> Result<SigSet, Errno> {
    check(tracer, tracee)?;
    let signals = tracee.signals.lock();
    Ok(signals.saved_mask.unwrap_or(signals.blocked))
}

/// `PTRACE_SETSIGMASK`.
pub(crate) fn set_mask(tracer: &Arc<Task>, tracee: &Arc<Task>, mask: SigSet) -> Result<(), Errno> {
    check(tracer, tracee)?;
    super::super::signal::set_blocked(tracee, mask);
    Ok(())
}

/// `PTRACE_GETREGS`.
pub(crate) fn registers(tracer: &Arc<Task>, tracee: &Task) -> Result<[u64; COUNT], Errno> {
    stopped(tracer, tracee, |_, _, frame| {
        Ok(registers::read(&frame.regs, frame.segments))
    })
}

/// `PTRACE_SETREGS`, of the first so many.
pub(crate) fn set_registers(
    tracer: &Arc<Task>,
    tracee: &Task,
    values: &[u64],
) -> Result<(), Errno> {
    stopped(tracer, tracee, |_, _, frame| {
        let mut all = values.iter().enumerate();
        all.try_for_each(|(index, value)| registers::write(frame, index, *value))
    })
}

/// `PTRACE_PEEKUSER`: a word of `struct user`.
pub(crate) fn peek_user(tracer: &Arc<Task>, tracee: &Task, at: u64) -> Result<u64, Errno> {
    if !at.is_multiple_of(8) || at >= USER_SIZE {
        return Err(Errno::EIO);
    }
    if let Some(number) = debug_register(at) {
        return debug::read(tracer, tracee, number);
    }
    let registers = registers(tracer, tracee)?;
    Ok(registers.get(usize_of(at / 8)).copied().unwrap_or(0))
}

/// Which debug register is at this place of `struct user`.
fn debug_register(at: u64) -> Option<usize> {
    let inside = at.checked_sub(DEBUG_REGISTERS.start)?;
    DEBUG_REGISTERS.contains(&at).then(|| usize_of(inside / 8))
}

/// `PTRACE_POKEUSER`: a register.
pub(crate) fn poke_user(
    tracer: &Arc<Task>,
    tracee: &Task,
    at: u64,
    value: u64,
) -> Result<(), Errno> {
    if !at.is_multiple_of(8) || at >= USER_SIZE {
        return Err(Errno::EIO);
    }
    if let Some(number) = debug_register(at) {
        return debug::write(tracer, tracee, number, value);
    }
    stopped(tracer, tracee, |_, _, frame| {
        registers::write(frame, usize_of(at / 8), value)
    })
}

/// The FPU's registers: the whole area, with the components named as debuggers look for them.
pub(crate) fn fpu_registers(tracer: &Arc<Task>, tracee: &Task) -> Result<Vec<u8>, Errno> {
    stopped(tracer, tracee, |_, _, frame| shown_fpu(frame))
}

/// The FPU's registers in a frame, as above.
pub(super) fn shown_fpu(frame: &Frame) -> Result<Vec<u8>, Errno> {
    let mut bytes = crate::fs::memory::try_copy(&frame.fpu)?;
    if let Some(place) = bytes.get_mut(COMPONENTS_AT..COMPONENTS_AT + 8)
        && frame.fpu.len() > FXSAVE
    {
        place.copy_from_slice(&fpu::components().to_le_bytes());
    }
    Ok(bytes)
}

/// Sets the FPU's registers from the beginning of an area.
pub(crate) fn set_fpu_registers(
    tracer: &Arc<Task>,
    tracee: &Task,
    bytes: &[u8],
) -> Result<(), Errno> {
    let mut whole = fpu_registers(tracer, tracee)?;
    let part = whole.get_mut(..bytes.len()).ok_or(Errno::EINVAL)?;
    part.copy_from_slice(bytes);
    if whole.len() > FXSAVE
        && bytes.len() <= FXSAVE
        && let Some(present) = whole.get_mut(FXSAVE)
    {
        // What was set of x87 and SSE counts, whether or not they were in use.
        *present |= 3;
    }
    // Refused here or never.
    let mut probe = FpuState::new()?;
    probe.set_bytes(&whole, true).map_err(|_| Errno::EINVAL)?;
    let mut state = crate::fs::memory::try_copy(probe.bytes())?;
    stopped(tracer, tracee, |_, _, frame| {
        core::mem::swap(&mut frame.fpu, &mut state);
        frame.fpu_changed = true;
        Ok(())
    })
}

/// `PTRACE_GET_SYSCALL_INFO`: `struct ptrace_syscall_info` and how much of it counts.
pub(crate) fn syscall_info(
    tracer: &Arc<Task>,
    tracee: &Task,
) -> Result<([u8; INFO_WORDS * 8], usize), Errno> {
    stopped(tracer, tracee, |trace, kind, frame| {
        let regs = &frame.regs;
        let operation = match kind.place {
            Place::SyscallEntry => 1u8,
            Place::SyscallExit => 2,
            Place::Event if kind.code >> 8 == Event::Seccomp as u32 => 3,
            _ => 0,
        };
        let size = INFO_SIZES.get(usize::from(operation)).copied();
        let mut words = [0u64; INFO_WORDS];
        let failed = regs.rax.cast_signed() >= -4095 && regs.rax.cast_signed() < 0;
        let story = match operation {
            1 | 3 => [
                regs.orig_rax,
                regs.rdi,
                regs.rsi,
                regs.rdx,
                regs.r10,
                regs.r8,
                regs.r9,
                trace.message,
            ],
            2 => [regs.rax, u64::from(failed), 0, 0, 0, 0, 0, 0],
            _ => [0; 8],
        };
        let head = [
            u64::from(operation) | u64::from(ARCH) << 32,
            regs.rip,
            regs.rsp,
        ];
        for (word, value) in words.iter_mut().zip(head.into_iter().chain(story)) {
            *word = value;
        }
        let mut bytes = [0; INFO_WORDS * 8];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        Ok((bytes, size.unwrap_or(0)))
    })
}

/// `PTRACE_PEEKDATA`.
pub(crate) fn peek(tracer: &Arc<Task>, tracee: &Task, at: u64) -> Result<u64, Errno> {
    check(tracer, tracee)?;
    let mut word = [0; 8];
    let copied = tracee.space()?.peek_forced(&mut word, UserAddr::new(at));
    if u64_of(copied) < 8 {
        return Err(Errno::EIO);
    }
    Ok(u64::from_le_bytes(word))
}

/// `PTRACE_POKEDATA`: also where the program itself may not write, as breakpoints need it.
pub(crate) fn poke(tracer: &Arc<Task>, tracee: &Task, at: u64, word: u64) -> Result<(), Errno> {
    check(tracer, tracee)?;
    let word = word.to_le_bytes();
    let copied = tracee.space()?.poke_forced(UserAddr::new(at), &word);
    if copied < word.len() {
        return Err(Errno::EIO);
    }
    Ok(())
}
