//! A signal when the stack pointer is bad: the frame can't be written, so SIGSEGV kills; an
//! alternate stack saves it.
use crate::out::say;
use crate::sys::memory::Map;
use crate::sys::{Plain, child, process, signal};
use std::arch::asm;
use std::ffi::CStr;

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    process::exit(33);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(65_536) else { return 1 };
    let Ok(read_only) = Map::new(65_536, libc::PROT_READ, libc::MAP_PRIVATE, -1, 0) else { return 1 };
    for (label, rsp) in [
        ("null", 0usize),
        ("low", 4096),
        ("kernel", 0xffff_ffff_8000_0000),
        ("not canonical", 0x0000_8000_0000_0000),
        ("top", usize::MAX),
        ("read-only", read_only.addr + 65_536),
        ("misaligned", map.addr + 65_536 - 13),
    ] {
        for alternate in [false, true] {
            let end = child::run(|| {
                if alternate {
                    let mut stack = libc::stack_t::zeroed();
                    stack.ss_sp = map.addr as *mut _;
                    stack.ss_size = 65_536;
                    let _ = signal::sigaltstack(Some(&stack), None);
                }
                let _ = signal::handle(libc::SIGUSR1, on_signal, libc::SA_ONSTACK, 0);
                kill_with_stack(rsp);
                0
            });
            say!("{label}, alternate {alternate}: {end}");
        }
    }
    0
}

/// kill(getpid(), SIGUSR1) with this stack pointer; then leaves with 55.
fn kill_with_stack(rsp: usize) {
    let pid = process::getpid().unwrap_or(0);
    // SAFETY: never comes back.
    unsafe {
        asm!(
            "mov rsp, {rsp}",
            "syscall",
            "mov edi, 55",
            "mov eax, 231",
            "syscall",
            rsp = in(reg) rsp,
            in("rax") libc::SYS_kill, in("rdi") pid, in("rsi") libc::SIGUSR1,
            options(noreturn),
        );
    }
}
