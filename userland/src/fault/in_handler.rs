//! A fault inside the handler of the same signal kills: it is blocked, and forced.
use crate::out::say;
use crate::sys::signal;
use std::arch::asm;
use std::ffi::CStr;

extern "C" fn on_fault(sig: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("handler for {}", signal::name(sig));
    fault();
    say!("not reached");
}

fn fault() {
    // SAFETY: nothing is mapped at 0; the fault ends the process.
    unsafe { asm!("mov al, [{0}]", in(reg) 0usize, out("al") _) }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGSEGV, on_fault, 0, 0);
    fault();
    0
}
