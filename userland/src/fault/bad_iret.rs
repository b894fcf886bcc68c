//! `iretq` in user mode: to itself it works; NT set, bad selectors and addresses are SIGSEGV (a
//! stack address that isn't canonical only when it's used).
use crate::out::say;
use crate::sys::child;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (label, cs, ss, flags, nested) in [
        ("plain", 0x33u64, 0x2bu64, 0x202u64, 0u64),
        ("kernel cs", 0x10, 0x2b, 0x202, 0),
        ("kernel ss", 0x33, 0x18, 0x202, 0),
        ("null cs", 0, 0x2b, 0x202, 0),
        ("null ss", 0x33, 0, 0x202, 0),
        ("IOPL and IF are ignored", 0x33, 0x2b, 0x3002, 0),
        ("NT set before", 0x33, 0x2b, 0x202, 0x4000),
        ("NT set by it", 0x33, 0x2b, 0x4202, 0),
    ] {
        say!("{label}: {}", child::run(|| {
            // SAFETY: comes to the label with the stack as before, or a fault ends the process.
            unsafe {
                asm!(
                    "mov {t}, rsp",
                    "push {ss}", "push {t}", "push {flags}", "push {cs}",
                    "lea {t}, [rip + 2f]", "push {t}",
                    "pushfq", "or [rsp], {nested}", "popfq",
                    "iretq",
                    "2:",
                    "pushfq", "and qword ptr [rsp], ~0x4000", "popfq",
                    t = out(reg) _, ss = in(reg) ss, flags = in(reg) flags, cs = in(reg) cs,
                    nested = in(reg) nested,
                );
            }
            0
        }));
    }
    0
}
