//! wait4(2) gives the child's CPU time; getrusage(2) and times(2) count reaped children.
use crate::out::say;
use crate::sys::{Plain, child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pid = child::start(|| {
        let start = crate::sys::time::now(libc::CLOCK_PROCESS_CPUTIME_ID);
        while crate::sys::time::now(libc::CLOCK_PROCESS_CPUTIME_ID) - start < 400_000_000 {}
        0
    });
    let mut usage = libc::rusage::zeroed();
    let _ = process::getrusage(libc::RUSAGE_SELF, &mut usage);
    let before = micros(&usage);
    let _ = process::wait4(pid, None, 0, Some(&mut usage));
    say!("child used enough: {}", micros(&usage) >= 350_000);
    say!("not absurdly much: {}", micros(&usage) < 5_000_000);
    let _ = process::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
    say!("children: {}", micros(&usage) >= 350_000);
    let _ = process::getrusage(libc::RUSAGE_SELF, &mut usage);
    say!("self is less: {}", micros(&usage) - before < 350_000);
    let mut times = libc::tms::zeroed();
    say!("times: {}", process::times(&mut times).is_ok());
    say!("children's ticks: {}", times.tms_cutime + times.tms_cstime >= 34);
    crate::out::show("bad who", process::getrusage(7, &mut usage));
    0
}

fn micros(usage: &libc::rusage) -> i64 {
    let (u, s) = (usage.ru_utime, usage.ru_stime);
    (u.tv_sec + s.tv_sec) * 1_000_000 + u.tv_usec + s.tv_usec
}
