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
use crate::mm::user;
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
    let xsave = fpu::components() != 0;
    let fpu_size = fpu::size() + if xsave { MAGIC2_SIZE } else { 0 };
    let sp = regs.rsp;
    let (frame, place) = {
        let mut signals = task.signals.lock();
        let alt = signals.alt_stack;
        let place = frame::place(sp, &alt, action.has(abi::SA_ONSTACK), u64_of(fpu_size))
            .ok_or(Errno::EFAULT)?;
        let mask = signals.saved_mask.take().unwrap_or(signals.blocked);
        let frame = Frame {
            restorer: action.restorer,
            registers: saved(regs, signals.last_fault),
            alt,
            alt_flags: alt.flags,
            mask,
            fpstate: place.fpstate,
            xsave,
            strict_ss: regs.cs == USER_CODE,
        };
        if alt.flags & SS_AUTODISARM != 0 {
            signals.alt_stack = AltStack::default();
        }
        (frame, place)
    };
    let space = task.space()?;
    space.copy_out(UserAddr::new(place.frame), &frame.encode(info))?;
    save_fpu(&space, place.fpstate)?;
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

/// Puts the FPU state into the frame, marks included; the handler starts with a fresh one.
fn save_fpu(space: &Arc<AddressSpace>, at: u64) -> Result<(), Errno> {
    let (features, size) = (fpu::components(), fpu::size());
    let place = |offset: usize| UserAddr::new(at.wrapping_add(u64_of(offset)));
    if features != 0 {
        let tail = frame::xstate_tail(low32(u64_of(size)), features);
        space.copy_out(place(frame::TAIL_AT), &tail)?;
        space.copy_out(place(size), &frame::magic2())?;
    }
    space.fpu_out(place(0))?;
    fpu::start_afresh();
    Ok(())
}

/// A handler's frame couldn't be built: SIGSEGV, which kills when it is that signal's own handler.
pub(super) fn frame_failed(task: &Arc<Task>, signal: Signal) {
    if signal == Signal::SEGV {
        task.process().actions().lock().reset(Signal::SEGV);
    }
    force(task, SigInfo::kernel(Signal::SEGV));
}

/// rt_sigreturn(2): back to what the handler interrupted. Gives RAX.
pub(crate) fn sigreturn(
    task: &Arc<Task>,
    space: &Arc<AddressSpace>,
    regs: &mut UserContext,
) -> u64 {
    regs.orig_rax = u64::MAX;
    if try_sigreturn(task, space, regs).is_err() {
        force(task, SigInfo::kernel(Signal::SEGV));
    }
    regs.rax
}

fn try_sigreturn(
    task: &Arc<Task>,
    space: &Arc<AddressSpace>,
    regs: &mut UserContext,
) -> Result<(), Errno> {
    let mut bytes = [0; FRAME_SIZE];
    let at = UserAddr::new(regs.rsp.wrapping_sub(8));
    space.copy_in(&mut bytes, at)?;
    let frame = Frame::decode(&bytes, regs.rflags);
    set_blocked(task, frame.mask);
    restore(regs, &frame.registers);
    task.note_registers();
    if !frame.strict_ss && regs.cs == USER_CODE {
        force_stack_segment(regs);
    }
    restore_fpu(task, space, frame.fpstate)?;
    // As sigaltstack(2) would; what it refuses is left as it is.
    let _ = super::set_alt_stack(task, Some(frame.alt), regs.rsp);
    Ok(())
}

/// Has the CPU load the area at `at` if nothing but its registers has been changed since a frame was made of it. What
/// can't be loaded so is looked at closely.
fn load_as_it_lies(space: &Arc<AddressSpace>, at: u64) -> bool {
    let size = fpu::size();
    let place = |offset: usize| UserAddr::new(at.wrapping_add(u64_of(offset)));
    let (mut tail, mut end) = ([0; frame::TAIL_SIZE], [0; MAGIC2_SIZE]);
    let read = space.copy_in(&mut tail, place(frame::TAIL_AT));
    read.is_ok()
        && frame::is_unchanged(&tail, low32(u64_of(size)), fpu::components())
        && space.copy_in(&mut end, place(size)).is_ok()
        && end == frame::magic2()
        && user::fpu_in(place(0)).is_ok()
}

fn restore_fpu(task: &Task, space: &Arc<AddressSpace>, at: u64) -> Result<(), Errno> {
    let thread = task.thread().ok_or(Errno::ESRCH)?;
    if at == 0 {
        thread.with_fpu(|state| (state.reset(), true));
        return Ok(());
    }
    if load_as_it_lies(space, at) {
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
