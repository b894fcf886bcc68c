//! After `syscall` RCX holds the return address and R11 the flags, whichever way the kernel came
//! back, also after a preemption or a signal in between.
use crate::out::say;
use crate::sys::{child, process};
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (label, number, arg) in [
        ("getpid", libc::SYS_getpid, 0usize),
        ("sched_yield", libc::SYS_sched_yield, 0),
        ("error", libc::SYS_close, 9999),
        ("unknown", 99_999, 0),
    ] {
        say!("{label}: {}", comes_back(number, arg));
    }
    let spinner = child::start(|| loop {
        std::hint::spin_loop();
    });
    let all = (0..100).all(|_| comes_back(libc::SYS_sched_yield, 0));
    say!("among others: {all}");
    let _ = crate::sys::signal::kill(spinner, libc::SIGKILL);
    say!("{}", child::end_of(spinner));
    let _ = process::getpid();
    0
}

fn comes_back(number: i64, arg: usize) -> bool {
    let (rcx, here, r11, flags): (u64, u64, u64, u64);
    // SAFETY: calls that touch no memory.
    unsafe {
        asm!(
            "stc", "syscall", "2:", "lea {here}, [rip + 2b]", "pushfq", "pop {flags}",
            here = out(reg) here, flags = out(reg) flags,
            inlateout("rax") number => _, in("rdi") arg, lateout("rcx") rcx, lateout("r11") r11,
        );
    }
    rcx == here && r11 == flags && flags & 1 == 1
}
