//! A handler may change the interrupted registers: what rt_sigreturn restores is the frame.
use crate::out::say;
use crate::sys::signal;
use std::arch::asm;
use std::ffi::CStr;

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    let regs = &mut context.uc_mcontext.gregs;
    regs[libc::REG_RIP as usize] += 2; // Over the ud2.
    regs[libc::REG_RAX as usize] = 0x1234;
    regs[libc::REG_R15 as usize] = -5;
    regs[libc::REG_EFL as usize] |= 1; // Carry.
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGILL, on_signal, 0, 0);
    let (rax, r15, carry): (u64, i64, u8);
    // SAFETY: the handler steps over the `ud2` and changes only what is declared.
    unsafe {
        asm!("clc", "ud2", "setc cl", out("rax") rax, out("r15") r15, out("cl") carry);
    }
    say!("rax {rax:#x} r15 {r15} carry {carry}");
    0
}
