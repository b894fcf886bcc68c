//! prctl(PR_SET_TSC): reading the time-stamp counter is a fault, for the thread, its children and what it executes, and
//! for nobody else.
use crate::out::{say, show};
use crate::sys::{child, process, signal};
use std::ffi::CStr;

const GET: i32 = 25;
const SET: i32 = 26;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    tell("at first");
    show("forbid", process::prctl(SET, 2, 0, 0, 0));
    tell("forbidden");
    std::thread::scope(|scope| {
        let _ = scope.spawn(|| {
            tell("in a thread");
            show("allow", process::prctl(SET, 1, 0, 0, 0));
            tell("allowed there");
        }).join();
    });
    tell("still here");
    show("neither", process::prctl(SET, 3, 0, 0, 0));
    let busy = child::start(|| {
        let _ = process::prctl(SET, 1, 0, 0, 0);
        for _ in 0..300 {
            read();
            let _ = process::sched_yield();
        }
        0
    });
    for _ in 0..300 {
        let _ = process::sched_yield();
    }
    say!("who may beside who mayn't: {}", child::end_of(busy));
    show("allow", process::prctl(SET, 1, 0, 0, 0));
    tell("allowed");
    0
}

fn read() {
    // SAFETY: reading the counter changes nothing.
    let _ = unsafe { std::arch::x86_64::_rdtsc() };
}

extern "C" fn on_fault(_: i32, info: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("code {}", info.si_code);
    process::exit(3)
}

fn tell(when: &str) {
    let mut now = 0u32;
    let at = &raw mut now as usize;
    show(when, process::prctl(GET, at, 0, 0, 0));
    let ends = child::run(|| {
        let _ = signal::handle(libc::SIGSEGV, on_fault, 0, 0);
        read();
        0
    });
    say!("{now}: {ends}");
}
