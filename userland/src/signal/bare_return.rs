//! rt_sigreturn(2) without a frame ends the program with SIGSEGV at worst.
use crate::out::say;
use crate::sys::{child, memory::Map, signal};
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(zeros) = Map::anon(65_536) else { return 1 };
    let Ok(ones) = Map::anon(65_536) else { return 1 };
    (0..65_536).for_each(|i| ones.set(i, 0xff));
    for (label, rsp) in [
        ("zeros", zeros.addr + 4096),
        ("ones", ones.addr + 4096),
        ("null", 0),
        ("kernel", 0xffff_ffff_8000_0000),
        ("not canonical", 0x0000_8000_0000_0000),
        ("half mapped", zeros.addr + 65_536 - 64),
        ("misaligned", zeros.addr + 4099),
    ] {
        say!("{label}: {}", child::run(|| {
            // SAFETY: never comes back.
            unsafe {
                asm!("mov rsp, {0}", "mov eax, 15", "syscall", "ud2", in(reg) rsp, options(noreturn))
            }
        }));
    }
    let _ = signal::bare_sigreturn();
    0
}
