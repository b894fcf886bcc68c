//! RFLAGS survive a system call: arithmetic flags, DF, AC, NT, ID; RF and VM can't be set.
use crate::out::say;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for flags in [0x202u64, 0x203, 0x206, 0x212, 0x242, 0x282, 0xa02, 0xad7, 0x602, 0x4_0202, 0x4202, 0x20_0202, 0x24_4ed7, 0x1_0202, 0x3202, 0x2] {
        let (kept, r11): (u64, u64);
        // SAFETY: sets flags, calls sched_yield, reads them and sets the usual ones again.
        unsafe {
            asm!(
                "push {0}", "popfq",
                "syscall",
                "pushfq", "pop {1}",
                "push 0x202", "popfq",
                in(reg) flags, out(reg) kept,
                inlateout("rax") libc::SYS_sched_yield => _, lateout("rcx") _, lateout("r11") r11,
            );
        }
        say!("{flags:#x}: {kept:#x}, r11 the same {}", r11 == kept);
    }
    0
}
