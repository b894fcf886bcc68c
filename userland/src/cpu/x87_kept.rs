//! The x87 stack survives calls and preemption by others who use it.
use crate::out::say;
use crate::sys::{child, time};
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pids: Vec<i32> = (1..=3)
        .map(|i| {
            child::start(|| {
                let end = time::monotonic() + 80_000_000;
                while time::monotonic() < end {
                    if kept(f64::from(i)) != f64::from(i) * 21.0 {
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
    0
}

/// Pushes 1..6 times `x`, spins and calls, adds them up.
fn kept(x: f64) -> f64 {
    let mut sum = 0f64;
    // SAFETY: the x87 stack is empty before and after; registers declared.
    unsafe {
        asm!(
            "fld qword ptr [{x}]", "fld st(0)", "fadd st, st(1)", "fld st(0)", "fadd st, st(2)",
            "fld st(0)", "fadd st, st(3)", "fld st(0)", "fadd st, st(4)", "fld st(0)", "fadd st, st(5)",
            "mov edx, 100000", "2:", "dec edx", "jnz 2b",
            "mov eax, 24", "syscall",
            "faddp st(1), st", "faddp st(1), st", "faddp st(1), st", "faddp st(1), st", "faddp st(1), st",
            "fstp qword ptr [{sum}]",
            x = in(reg) &raw const x, sum = in(reg) &raw mut sum,
            out("rax") _, out("rcx") _, out("rdx") _, out("r11") _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
        );
    }
    sum
}
