//! With the AC flag set, an unaligned access is SIGBUS with BUS_ADRALN; system calls meanwhile
//! work, with unaligned pointers too. (A handler starts with AC still set, and dies of it.)
use super::probe;
use crate::out::{say, show};
use crate::sys::{child, file};
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("call: {}", child::run(|| {
        let (rx, tx) = file::pipe();
        let words = [*b"-abcdefg", *b"hijklmno"];
        let written: usize;
        let flags: u64;
        // SAFETY: write(tx, an odd address, 9) with AC set, which is cleared after.
        unsafe {
            asm!(
                "pushfq", "or qword ptr [rsp], 0x40000", "popfq",
                "syscall",
                "pushfq", "mov rdx, [rsp]", "and qword ptr [rsp], ~0x40000", "popfq",
                inlateout("rax") libc::SYS_write as usize => written,
                in("rdi") tx as usize, in("rsi") words.as_ptr() as usize + 1,
                inlateout("rdx") 9u64 => flags,
                lateout("rcx") _, lateout("r11") _,
            );
        }
        say!("written {written}, AC kept {}", flags >> 18 & 1);
        let mut back = [0; 9];
        show("read", file::read(rx, &mut back));
        say!("{}", String::from_utf8_lossy(&back));
        0
    }));
    probe::all(usize::MAX - 1, || {
        // SAFETY: the fault ends the process.
        unsafe {
            asm!(
                "sub rsp, 16", "pushfq", "or qword ptr [rsp], 0x40000", "popfq",
                "mov eax, [rsp + 1]",
                "pushfq", "and qword ptr [rsp], ~0x40000", "popfq", "add rsp, 16",
                out("eax") _,
            );
        }
    })
}
