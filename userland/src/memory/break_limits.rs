//! brk(2) refuses by giving the old break: below the start, beyond RLIMIT_DATA, into a mapping,
//! absurd values; what is beyond the break faults.
use crate::out::{say, show};
use crate::sys::{child, memory, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        let now = memory::brk(0);
        for (label, to) in [("one", 1), ("low", 4096), ("huge", 1 << 46), ("kernel", 0xffff_ffff_8000_0000), ("all ones", usize::MAX)] {
            say!("{label}: unchanged {}", memory::brk(to) == now);
        }
        let limit = libc::rlimit64 { rlim_cur: 64 << 20, rlim_max: u64::MAX };
        show("RLIMIT_DATA", process::setrlimit(libc::RLIMIT_DATA, &limit));
        say!("beyond it: unchanged {}", memory::brk(now + (65 << 20)) == now);
        say!("within it: {}", memory::brk(now + (16 << 20)) == now + (16 << 20));
        0
    }));
    say!("beyond the break: {}", child::run(|| {
        let now = memory::brk(0);
        // SAFETY: the fault ends the process.
        i32::from(unsafe { ((now + 0x10_0000) as *const u8).read_volatile() })
    }));
    0
}
