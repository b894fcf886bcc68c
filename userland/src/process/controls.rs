//! prctl(2): what each option takes and answers, and what a child inherits.
use crate::out::{say, show};
use crate::sys::{child, process};
use std::ffi::CStr;

fn ask(label: &str, option: i32, args: [usize; 4]) {
    let [a, b, c, d] = args;
    show(label, process::prctl(option, a, b, c, d));
}

fn machine_checks() {
    ask("mce default", 34, [0; 4]);
    ask("mce early", 33, [1, 1, 0, 0]);
    ask("mce now", 34, [0; 4]);
    say!("{}", child::run(|| {
        ask("mce inherited", 34, [0; 4]);
        0
    }));
    ask("mce late", 33, [1, 0, 0, 0]);
    ask("mce now", 34, [0; 4]);
    ask("mce wrong", 33, [1, 3, 0, 0]);
    ask("mce wrong", 33, [2, 0, 0, 0]);
    ask("mce more", 33, [1, 1, 1, 0]);
    ask("mce clear more", 33, [0, 1, 0, 0]);
    ask("mce clear", 33, [0; 4]);
    ask("mce now", 34, [0; 4]);
    ask("mce get more", 34, [1, 0, 0, 0]);
}

fn huge_pages() {
    ask("thp", 42, [0; 4]);
    ask("thp off", 41, [1, 0, 0, 0]);
    ask("thp", 42, [0; 4]);
    say!("{}", child::run(|| {
        ask("thp inherited", 42, [0; 4]);
        0
    }));
    ask("thp on", 41, [0; 4]);
    ask("thp", 42, [0; 4]);
    ask("thp more", 41, [1, 0, 1, 0]);
    ask("thp more", 42, [0, 0, 0, 1]);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    machine_checks();
    huge_pages();
    ask("dumpable", 3, [0; 4]);
    ask("not dumpable", 4, [0; 4]);
    ask("dumpable", 3, [0; 4]);
    ask("by root", 4, [2, 0, 0, 0]);
    ask("wrong", 4, [usize::MAX, 0, 0, 0]);
    ask("dumpable again", 4, [1, 0, 0, 0]);
    ask("keep caps", 7, [0; 4]);
    ask("keep caps on", 8, [1, 0, 0, 0]);
    ask("keep caps", 7, [0; 4]);
    ask("keep caps wrong", 8, [2, 0, 0, 0]);
    ask("keep caps off", 8, [0; 4]);
    ask("timing", 13, [0; 4]);
    ask("timing", 14, [0; 4]);
    ask("timing exact", 14, [1, 0, 0, 0]);
    ask("slack", 30, [0; 4]);
    ask("slack set", 29, [70_000, 0, 0, 0]);
    ask("slack", 30, [0; 4]);
    say!("{}", child::run(|| {
        ask("slack inherited", 30, [0; 4]);
        ask("slack back", 29, [0; 4]);
        ask("slack default", 30, [0; 4]);
        0
    }));
    ask("seccomp", 21, [0; 4]);
    ask("perf off", 31, [0; 4]);
    ask("perf on", 32, [0; 4]);
    for (name, option) in [
        ("unaligned get", 5),
        ("unaligned set", 6),
        ("fpemu get", 9),
        ("fpemu set", 10),
        ("fpexc get", 11),
        ("fpexc set", 12),
        ("endian get", 19),
        ("endian set", 20),
        ("mpx on", 43),
        ("mpx off", 44),
        ("fp mode set", 45),
        ("fp mode get", 46),
        ("sve set", 50),
        ("sve get", 51),
        ("pac reset", 54),
        ("no option", 0),
        ("no option", 17),
        ("no option", 18),
        ("no option", 1000),
    ] {
        ask(name, option, [0; 4]);
    }
    let mut tsc = 9u32;
    let at = &raw mut tsc as usize;
    ask("tsc", 25, [at, 0, 0, 0]);
    say!("{tsc}");
    ask("tsc wrong", 26, [3, 0, 0, 0]);
    ask("tsc fault", 25, [8, 0, 0, 0]);
    ask("death signal", 1, [libc::SIGUSR1 as usize, 0, 0, 0]);
    ask("death signal", 2, [at, 0, 0, 0]);
    say!("{tsc}");
    ask("death signal wrong", 1, [65, 0, 0, 0]);
    ask("death signal off", 1, [0; 4]);
    ask("ambient wrong", 47, [9, 0, 0, 0]);
    ask("ambient more", 47, [4, 1, 0, 0]);
    ask("ambient clear", 47, [4, 0, 0, 0]);
    ask("bounding wrong", 23, [99, 0, 0, 0]);
    ask("speculation more", 52, [0, 1, 0, 0]);
    ask("speculation unknown", 52, [9, 0, 0, 0]);
    ask("speculation unknown", 53, [9, 2, 0, 0]);
    ask("speculation more", 53, [0, 2, 1, 0]);
    ask("dispatch off", 59, [0; 4]);
    ask("dispatch off more", 59, [0, 1, 0, 0]);
    ask("dispatch wrong", 59, [9, 0, 0, 0]);
    ask("mm more", 35, [1, 0, 0, 1]);
    ask("no new privileges more", 38, [1, 1, 0, 0]);
    ask("no new privileges zero", 38, [0; 4]);
    ask("no new privileges", 39, [0; 4]);
    ask("no new privileges more", 39, [1, 0, 0, 0]);
    say!("{}", child::run(|| {
        ask("no new privileges", 38, [1, 0, 0, 0]);
        ask("no new privileges", 39, [0; 4]);
        0
    }));
    say!("{}", child::run(|| {
        let _ = process::setresuid(7, 7, 7);
        ask("flusher", 57, [1, 0, 0, 0]);
        ask("flusher", 58, [0; 4]);
        ask("mm", 35, [1, 0, 0, 0]);
        ask("secure bits", 28, [1, 0, 0, 0]);
        ask("bounding", 24, [1, 0, 0, 0]);
        0
    }));
    0
}
