//! GS base: 0 at the start, set by arch_prctl(2) or WRGSBASE (where AT_HWCAP2 allows it), kept
//! across calls, switches and fork; the kernel's own never shows.
use crate::out::{say, show};
use crate::sys::{self, child, process, time};
use std::arch::asm;
use std::ffi::CStr;

const ARCH_SET_GS: usize = 0x1001;
const ARCH_GET_GS: usize = 0x1004;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("at the start {:#x}", get());
    let block = Box::leak(Box::new([1u64, 22, 333]));
    let at = block.as_ptr() as usize;
    // SAFETY: nothing else uses GS.
    show("set", unsafe { sys::call(libc::SYS_arch_prctl, [ARCH_SET_GS, at, 0, 0, 0, 0]) });
    say!("read {}", load());
    say!("got back {}", get() == at as u64);
    say!("child {}", child::run(|| load() as i32));
    let pids: Vec<i32> = (1..=3u64)
        .map(|i| {
            child::start(|| {
                let own = [i, i * 11, i];
                // SAFETY: nothing else uses GS.
                let _ = unsafe { sys::call(libc::SYS_arch_prctl, [ARCH_SET_GS, own.as_ptr() as usize, 0, 0, 0, 0]) };
                let end = time::monotonic() + 40_000_000;
                while time::monotonic() < end {
                    let _ = process::sched_yield();
                    if load() != i * 11 {
                        return 1;
                    }
                }
                0
            })
        })
        .collect();
    for pid in pids {
        say!("{}", child::end_of(pid));
    }
    // SAFETY: refused.
    show("beyond", unsafe { sys::call(libc::SYS_arch_prctl, [ARCH_SET_GS, usize::MAX, 0, 0, 0, 0]) });
    // SAFETY: getauxval only looks a number up.
    let fsgsbase = unsafe { libc::getauxval(libc::AT_HWCAP2) } & 2 != 0;
    let same = !fsgsbase || by_instruction(at as u64 + 8) == 333;
    say!("by instruction, where allowed: {same}");
    0
}

fn get() -> u64 {
    let mut base = 99u64;
    let out = (&raw mut base) as usize;
    // SAFETY: the kernel writes the base to `base`.
    let _ = unsafe { sys::call(libc::SYS_arch_prctl, [ARCH_GET_GS, out, 0, 0, 0, 0]) };
    base
}

fn load() -> u64 {
    let value: u64;
    // SAFETY: GS points to three words.
    unsafe { asm!("mov {0}, gs:[8]", out(reg) value) };
    value
}

fn by_instruction(base: u64) -> u64 {
    // SAFETY: the kernel says that the instruction is enabled; the base points to two words.
    unsafe { asm!("wrgsbase {0}", "mov eax, 24", "syscall", in(reg) base, out("rax") _, out("rcx") _, out("r11") _) };
    load()
}
