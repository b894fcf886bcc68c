//! What a handler's context tells of exceptions: their vector and error code, and the last page fault's address, which
//! stays after others and when a signal comes from elsewhere.
use crate::out::say;
use crate::sys::signal;
use std::arch::asm;
use std::ffi::CStr;

extern "C" fn on_signal(sig: i32, _: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    let regs = &mut context.uc_mcontext.gregs;
    let [address, vector, error] =
        [libc::REG_CR2, libc::REG_TRAPNO, libc::REG_ERR].map(|at| regs[at as usize]);
    say!("{}: {address:#x} vector {vector} error {error}", signal::name(sig));
    if sig != libc::SIGUSR1 {
        regs[libc::REG_RIP as usize] = regs[libc::REG_R8 as usize];
    }
}

fn touch(addr: usize) {
    // SAFETY: nothing is mapped there; the handler goes on behind the load.
    unsafe { asm!("lea r8, [rip + 2f]", "mov al, [{0}]", "2:", in(reg) addr, out("al") _, out("r8") _) }
}

fn divide() {
    // SAFETY: the handler goes on behind the division.
    unsafe { asm!("lea r8, [rip + 2f]", "div {0:e}", "2:", in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _, out("r8") _) }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for sig in [libc::SIGSEGV, libc::SIGFPE, libc::SIGUSR1] {
        let _ = signal::handle(sig, on_signal, 0, 0);
    }
    divide();
    touch(0x12_3400);
    let _ = signal::raise(libc::SIGUSR1);
    divide();
    // Not an address at all: no page fault.
    touch(1 << 63);
    touch(0x56_7800);
    divide();
    0
}
