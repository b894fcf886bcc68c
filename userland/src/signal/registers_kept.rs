//! Every general register and the arithmetic flags survive a handler that interrupts a busy loop
//! and uses all of them.
use crate::out::say;
use crate::sys::signal;
use std::arch::asm;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

static COUNT: AtomicU64 = AtomicU64::new(0);

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    COUNT.fetch_add(1, SeqCst);
    // SAFETY: clobbers are declared.
    unsafe {
        asm!(
            "mov rax, -1", "mov rcx, rax", "mov rdx, rax", "mov rsi, rax", "mov rdi, rax",
            "mov r8, rax", "mov r9, rax", "mov r10, rax", "mov r11, rax", "mov r12, rax",
            "mov r13, rax", "mov r14, rax", "mov r15, rax",
            out("rax") _, out("rcx") _, out("rdx") _, out("rsi") _, out("rdi") _, out("r8") _,
            out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("r13") _, out("r14") _,
            out("r15") _,
        );
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGALRM, on_signal, 0, 0);
    let value = libc::timeval { tv_sec: 0, tv_usec: 2_000 };
    let timer = libc::itimerval { it_interval: value, it_value: value };
    let _ = signal::setitimer(libc::ITIMER_REAL, &timer, None);
    let wrong = spin(COUNT.as_ptr(), 15);
    let _ = signal::setitimer(libc::ITIMER_REAL, &crate::sys::Plain::zeroed(), None);
    say!("wrong registers: {wrong:#x}");
    0
}

/// Fills the registers, waits until the counter reaches `until` while checking them; gives a
/// word that is 0 when all were right.
fn spin(counter: *const u64, until: u64) -> u64 {
    let wrong: u64;
    // SAFETY: RBX and RBP are saved on the stack, which stays balanced; all others declared.
    unsafe {
        asm!(
            "push rbx", "push rbp",
            "mov rax, 0x0101010101010101", "mov rbx, 0x0202020202020202",
            "mov rdx, 0x0303030303030303", "mov rbp, 0x0404040404040404",
            "mov r8, 0x0505050505050505", "mov r9, 0x0606060606060606",
            "mov r10, 0x0707070707070707", "mov r11, 0x0808080808080808",
            "mov r12, 0x0909090909090909", "mov r13, 0x0a0a0a0a0a0a0a0a",
            "mov r14, 0x0b0b0b0b0b0b0b0b", "mov r15, 0x0c0c0c0c0c0c0c0c",
            "2:",
            // The sum of all is constant as long as each is.
            "lea rcx, [rax + rbx]", "add rcx, rdx", "add rcx, rbp", "add rcx, r8", "add rcx, r9",
            "add rcx, r10", "add rcx, r11", "add rcx, r12", "add rcx, r13", "add rcx, r14",
            "add rcx, r15",
            "push rax", "mov rax, 0x4e4e4e4e4e4e4e4e", "xor rcx, rax", "pop rax",
            "jnz 3f",
            "stc", "pause", "pause", "pause", "jnc 3f",
            "cmp [rdi], rsi",
            "jb 2b",
            "xor ecx, ecx",
            "jmp 4f",
            "3:", "or rcx, 1",
            "4:", "mov rax, rcx",
            "pop rbp", "pop rbx",
            inout("rdi") counter => _, inout("rsi") until => _,
            out("rax") wrong, out("rcx") _, out("rdx") _, out("r8") _, out("r9") _, out("r10") _,
            out("r11") _, out("r12") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
    wrong
}
