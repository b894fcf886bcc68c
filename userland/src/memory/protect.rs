//! mprotect(2): each protection allows what it says: read, write, execute, nothing; contents stay.
use crate::out::{say, show};
use crate::sys::{child, memory::{Map, PAGE}};
use libc::{PROT_EXEC as X, PROT_NONE, PROT_READ as R, PROT_WRITE as W};
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(PAGE) else { return 1 };
    map.set(0, 0xc3); // ret
    map.set(1, 5);
    for (label, prot) in [("none", PROT_NONE), ("r", R), ("w", W), ("x", X), ("rw", R | W), ("rx", R | X), ("wx", W | X), ("rwx", R | W | X), ("rw again", R | W)] {
        show(label, map.protect(0, PAGE, prot));
        let read = child::run(|| i32::from(map.get(1)));
        let write = child::run(|| {
            map.set(2, 1);
            0
        });
        let execute = child::run(|| {
            // SAFETY: a `ret` comes back; the fault ends the process.
            unsafe { asm!("call {0}", in(reg) map.addr, clobber_abi("C")) }
            0
        });
        // A page that can be written or executed can be read too on this machine, unless
        // protection keys make it execute-only: reading is then the CPU's affair.
        let read = if prot == X { String::from("-") } else { read };
        say!("read {read}, write {write}, execute {execute}");
    }
    say!("kept {}", map.get(1));
    0
}
