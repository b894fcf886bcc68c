//! Making a program run its handler, and coming back from it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{low32, u64_of, usize_of32};
use kiln_core::signal::frame::{
    self, AltStack, FRAME_SIZE, FXSAVE_SIZE, Frame, INFO_AT, MAGIC2_SIZE, Registers, SS_AUTODISARM,
    UCONTEXT_AT, USER_CODE, USER_DATA,
};
use kiln_core::signal::{Disposition, SigAction, SigInfo, Signal};

use super::{force, set_blocked};
use crate::arch::user::UserContext;
use crate::arch::{fpu, segments};
use crate::process::task::Task;
use crate::vm::AddressSpace;

/// Builds the handler's frame and points the registers at the handler.
pub(super) fn enter_handler(
    task: &Arc<Task>,
    regs: &mut UserContext,
    info: &SigInfo,
    action: &SigAction,
) -> Result<(), Errno> {
    let Disposition::Handler(handler) = action.disposition else {
        return Ok(());
    };
    // The C library always gives one; Linux refuses frames without (x64_setup_rt_frame).
    if !action.has(abi::SA_RESTORER) {
        return Err(Errno::EFAULT);
    }
    let saved_fpu = saved_fpu(task)?;
    let sp = regs.rsp;
    let (frame, place) = {
        let mut signals = task.signals.lock();
        let alt = signals.alt_stack;
        let place = frame::place(
            sp,
            &alt,
            action.has(abi::SA_ONSTACK),
            u64_of(saved_fpu.len()),
        )
        .ok_or(Errno::EFAULT)?;
        let mask = signals.saved_mask.take().unwrap_or(signals.blocked);
        let frame = Frame {
            restorer: action.restorer,
            registers: saved(regs, signals.last_fault),
            alt,
            alt_flags: alt.flags,
            mask,
            fpstate: place.fpstate,
            xsave: saved_fpu.len() > FXSAVE_SIZE,
            strict_ss: regs.cs == USER_CODE,
        };
        if alt.flags & SS_AUTODISARM != 0 {
            signals.alt_stack = AltStack::default();
        }
        (frame, place)
    };
    let space = task.space()?;
    space.copy_out(UserAddr::new(place.fpstate), &saved_fpu)?;
    space.copy_out(UserAddr::new(place.frame), &frame.encode(info))?;
    regs.rax = 0;
    regs.rdi = frame::argument(info.signal);
    regs.rsi = place.frame + u64_of(INFO_AT);
    regs.rdx = place.frame + u64_of(UCONTEXT_AT);
    regs.rip = handler;
    regs.rsp = place.frame;
    regs.rflags = frame::handler_flags(regs.rflags);
    regs.cs = USER_CODE;
    force_stack_segment(regs);
    regs.orig_rax = u64::MAX;
    block_for_handler(task, info.signal, action);
    Ok(())
}

fn block_for_handler(task: &Arc<Task>, signal: Signal, action: &SigAction) {
    let mut blocked = task.blocked().union(action.mask);
    if !action.has(abi::SA_NODEFER) {
        blocked = blocked.with(signal);
    }
    set_blocked(task, blocked);
}

/// The FPU state as it goes into the frame, marks included; the handler starts with a fresh one.
fn saved_fpu(task: &Task) -> Result<Vec<u8>, Errno> {
    let thread = task.thread().ok_or(Errno::ESRCH)?;
    let mut bytes = Vec::new();
    let copied = thread.with_fpu(|state| {
        let area = state.bytes();
        let copied = bytes.try_reserve_exact(area.len() + MAGIC2_SIZE);
        bytes.extend_from_slice(if copied.is_ok() { area } else { &[] });
        state.reset();
        (copied, true)
    });
    copied.ok_or(Errno::ESRCH)?.map_err(|_| Errno::ENOMEM)?;
    if bytes.len() > FXSAVE_SIZE {
        let size = low32(u64_of(bytes.len()));
        frame::mark_xstate(&mut bytes, size, fpu::components());
        bytes.extend_from_slice(&frame::magic2());
    }
    Ok(bytes)
}

/// A handler's frame couldn't be built: SIGSEGV, which kills when it is that signal's own handler.
pub(super) fn frame_failed(task: &Arc<Task>, signal: Signal) {
    if signal == Signal::SEGV {
        task.process().actions().lock().reset(Signal::SEGV);
    }
    force(task, SigInfo::kernel(Signal::SEGV));
}

/// rt_sigreturn(2): back to what the handler interrupted. Gives RAX.
pub(crate) fn sigreturn(task: &Arc<Task>, regs: &mut UserContext) -> u64 {
    regs.orig_rax = u64::MAX;
    if try_sigreturn(task, regs).is_err() {
        force(task, SigInfo::kernel(Signal::SEGV));
    }
    regs.rax
}

fn try_sigreturn(task: &Arc<Task>, regs: &mut UserContext) -> Result<(), Errno> {
    let space = task.space()?;
    let mut bytes = [0; FRAME_SIZE];
    let at = UserAddr::new(regs.rsp.wrapping_sub(8));
    space.copy_in(&mut bytes, at)?;
    let frame = Frame::decode(&bytes, regs.rflags);
    set_blocked(task, frame.mask);
    restore(regs, &frame.registers);
    if !frame.strict_ss && regs.cs == USER_CODE {
        force_stack_segment(regs);
    }
    restore_fpu(task, &space, frame.fpstate)?;
    // As sigaltstack(2) would; what it refuses is left as it is.
    let _ = super::set_alt_stack(task, Some(frame.alt), regs.rsp);
    Ok(())
}

fn restore_fpu(task: &Task, space: &Arc<AddressSpace>, at: u64) -> Result<(), Errno> {
    let thread = task.thread().ok_or(Errno::ESRCH)?;
    if at == 0 {
        thread.with_fpu(|state| (state.reset(), true));
        return Ok(());
    }
    let mut fxsave = [0; FXSAVE_SIZE];
    space.copy_in(&mut fxsave, UserAddr::new(at))?;
    let largest = low32(u64_of(fpu::size()));
    let marked = frame::marked_xstate(&fxsave, largest, |size| {
        let mut magic = [0; MAGIC2_SIZE];
        let at = UserAddr::new(at.checked_add(u64::from(size))?);
        space.copy_in(&mut magic, at).ok()?;
        Some(magic)
    });
    let mut bytes = Vec::new();
    let whole = fpu::size();
    bytes.try_reserve_exact(whole).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(whole, 0);
    let length = marked.map_or(FXSAVE_SIZE, |xstate| usize_of32(xstate.size));
    let given = bytes.get_mut(..length).ok_or(Errno::EFAULT)?;
    space.copy_in(given, UserAddr::new(at))?;
    if let Some(xstate) = marked {
        // What no CPU has stays, for the check that refuses it.
        frame::keep_features(&mut bytes, xstate.features | !fpu::components());
    }
    let loaded = thread.with_fpu(|state| (state.set_bytes(&bytes, marked.is_some()), true));
    loaded.ok_or(Errno::ESRCH)?.map_err(|_| Errno::EFAULT)
}

/// The registers in the order of `sigcontext`.
fn saved(regs: &UserContext, fault: [u64; 3]) -> Registers {
    Registers {
        general: [
            regs.r8, regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15, regs.rdi,
            regs.rsi, regs.rbp, regs.rbx, regs.rdx, regs.rax, regs.rcx, regs.rsp,
        ],
        rip: regs.rip,
        rflags: regs.rflags,
        cs: regs.cs,
        ss: regs.ss,
        fault,
    }
}

fn restore(regs: &mut UserContext, from: &Registers) {
    [
        regs.r8, regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15, regs.rdi,
        regs.rsi, regs.rbp, regs.rbx, regs.rdx, regs.rax, regs.rcx, regs.rsp,
    ] = from.general;
    regs.rip = from.rip;
    regs.rflags = from.rflags;
    regs.cs = from.cs;
    regs.ss = from.ss;
}

/// 64-bit code gets a stack segment that it can be entered with (`force_valid_ss`): what a program in another mode had
/// stays where it is good for that.
fn force_stack_segment(regs: &mut UserContext) {
    if regs.ss != USER_DATA && !segments::is_stack(regs.ss) {
        regs.ss = USER_DATA;
    }
}
