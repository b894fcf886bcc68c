//! arch_prctl(2): ARCH_GET_FS and ARCH_SET_FS; an address beyond the user's half is EPERM; the
//! base survives switches and differs between processes.
use crate::out::{say, show};
use crate::sys::{self, child, process, time};
use std::arch::asm;
use std::ffi::CStr;

const ARCH_SET_FS: usize = 0x1002;
const ARCH_GET_FS: usize = 0x1003;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut base = 0u64;
    let out = (&raw mut base) as usize;
    // SAFETY: the kernel writes the base to `base`.
    show("get", unsafe { sys::call(libc::SYS_arch_prctl, [ARCH_GET_FS, out, 0, 0, 0, 0]) });
    let own: u64;
    // SAFETY: the C library keeps the base's address at FS:0.
    unsafe { asm!("mov {0}, fs:[0]", out(reg) own) };
    say!("it is the thread's block: {}", own == base);
    for bad in [0x7fff_ffff_f000, 0x0000_8000_0000_0000, 0xffff_8000_0000_0000, usize::MAX] {
        // SAFETY: refused.
        show("set beyond", unsafe { sys::call(libc::SYS_arch_prctl, [ARCH_SET_FS, bad, 0, 0, 0, 0]) });
    }
    // SAFETY: refused.
    show("get to nowhere", unsafe { sys::call(libc::SYS_arch_prctl, [ARCH_GET_FS, 8, 0, 0, 0, 0]) });
    // SAFETY: refused.
    show("unknown code", unsafe { sys::call(libc::SYS_arch_prctl, [0x9999, 0, 0, 0, 0, 0]) });
    let pids: Vec<i32> = (0..3)
        .map(|_| {
            child::start(|| {
                let block = Box::leak(Box::new([own; 8]));
                let end = time::monotonic() + 40_000_000;
                let mut wrong = 0;
                while time::monotonic() < end && wrong == 0 {
                    let at = block.as_ptr() as usize;
                    wrong |= foreign_base(at, own);
                    let _ = process::sched_yield();
                }
                wrong
            })
        })
        .collect();
    for pid in pids {
        say!("{}", child::end_of(pid));
    }
    0
}

/// Sets FS to `at`, spins and yields, checks that it reads what stands there, sets it back.
fn foreign_base(at: usize, own: u64) -> i32 {
    let seen: u64;
    // SAFETY: nothing uses FS between the two calls.
    unsafe {
        asm!(
            "mov eax, 158", "mov edi, 0x1002", "mov rsi, {at}", "syscall",
            "mov eax, 24", "syscall",
            "mov edx, 100000", "2:", "dec edx", "jnz 2b",
            "mov {seen}, fs:[8]",
            "mov eax, 158", "mov edi, 0x1002", "mov rsi, {own}", "syscall",
            at = in(reg) at, own = in(reg) own, seen = out(reg) seen,
            out("rax") _, out("rdi") _, out("rsi") _, out("rdx") _, out("rcx") _, out("r11") _,
        );
    }
    i32::from(seen != own)
}
