//! MOV SS delays traps by one instruction: before `syscall`, `int3` and with the trap flag set, the
//! kernel isn't confused (CVE-2018-8897's neighbourhood).
use crate::out::say;
use crate::sys::{child, signal};
use std::arch::asm;
use std::ffi::CStr;

extern "C" fn on_trap(_: i32, _: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !0x100;
}

macro_rules! after_mov_ss {
    ($flags:literal, $code:literal) => {
        child::run(|| {
            let _ = signal::handle(libc::SIGTRAP, on_trap, 0, 0);
            let pid: i64;
            // SAFETY: SS gets its own selector; flags are restored by the handler or below.
            unsafe {
                asm!(
                    "mov ecx, 0x2b",
                    "mov eax, 39",
                    "pushfq", concat!("or qword ptr [rsp], ", $flags), "popfq",
                    "mov ss, ecx",
                    $code,
                    "nop",
                    "pushfq", "and qword ptr [rsp], ~0x4100", "popfq",
                    out("rax") pid, out("rcx") _, out("r11") _,
                );
            }
            i32::from(pid <= 0)
        })
    };
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("syscall: {}", after_mov_ss!("0", "syscall"));
    say!("syscall with TF: {}", after_mov_ss!("0x100", "syscall"));
    say!("int3: {}", after_mov_ss!("0", "int3"));
    say!("int3 with TF: {}", after_mov_ss!("0x100", "int3"));
    say!("nop with TF: {}", after_mov_ss!("0x100", "nop"));
    say!("syscall with NT: {}", after_mov_ss!("0x4000", "syscall"));
    0
}
