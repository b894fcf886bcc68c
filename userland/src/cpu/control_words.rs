//! MXCSR and the x87 control word are the process's own and survive switches; children get a copy.
use crate::out::say;
use crate::sys::{child, process, time};
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("start {:x?}", read());
    let pids: Vec<i32> = [(0x1f80, 0x37f), (0x3f80, 0x77f), (0x5f80, 0xb7f), (0x7f80, 0xf7f)]
        .into_iter()
        .map(|words| {
            child::start(|| {
                write(words);
                let end = time::monotonic() + 60_000_000;
                while time::monotonic() < end {
                    let _ = process::sched_yield();
                    if read() != words {
                        return 1;
                    }
                }
                let inner = child::run(|| i32::from(read() != words));
                i32::from(inner != "exited 0") * 2
            })
        })
        .collect();
    for pid in pids {
        say!("{}", child::end_of(pid));
    }
    say!("end {:x?}", read());
    0
}

fn read() -> (u32, u16) {
    let (mut mxcsr, mut word) = (0u32, 0u16);
    // SAFETY: stores the control words.
    unsafe { asm!("stmxcsr [{0}]", "fnstcw [{1}]", in(reg) &raw mut mxcsr, in(reg) &raw mut word) };
    (mxcsr & !0x3f, word)
}

fn write((mxcsr, word): (u32, u16)) {
    // SAFETY: only the rounding changes, in a child that doesn't depend on it.
    unsafe { asm!("ldmxcsr [{0}]", "fldcw [{1}]", in(reg) &raw const mxcsr, in(reg) &raw const word) };
}
