//! The trap flag: SIGTRAP with TRAP_TRACE after each instruction, also across system calls, and
//! the handler itself isn't stepped.
use crate::out::say;
use crate::sys::{child, signal};
use std::arch::asm;
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

static STEPS: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_trap(_: i32, info: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    STEPS.fetch_add(1, SeqCst);
    CODE.store(info.si_code, SeqCst);
}

macro_rules! steps {
    ($($code:literal),*) => {{
        STEPS.store(0, SeqCst);
        // SAFETY: sets TF, runs the code, clears TF; registers declared.
        unsafe {
            asm!(
                "pushfq", "or qword ptr [rsp], 0x100", "popfq",
                $($code,)*
                "pushfq", "and qword ptr [rsp], ~0x100", "popfq",
                out("rax") _, out("rcx") _, out("r11") _, out("rdx") _,
            );
        }
        STEPS.load(SeqCst)
    }};
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGTRAP, on_trap, 0, 0);
    say!("nothing: {}", steps!());
    say!("code {}", CODE.load(SeqCst));
    say!("5 nops: {}", steps!("nop", "nop", "nop", "nop", "nop"));
    say!("xor: {}", steps!("xor eax, eax", "xor edx, edx"));
    say!("getpid: {}", steps!("mov eax, 39", "syscall", "nop", "nop"));
    say!("unknown call: {}", steps!("mov eax, 100000", "syscall", "nop"));
    say!("default: {}", child::run(|| {
        let _ = signal::set(libc::SIGTRAP, signal::SIG_DFL);
        steps!("nop")
    }));
    0
}
