//! personality(2): 0 at the start, query, set, inherited; what uname and select make of it.
use crate::out::{say, show};
use crate::sys::{Plain, child, file, process};
use std::ffi::CStr;

const ADDR_NO_RANDOMIZE: u32 = 0x004_0000;
const UNAME26: u32 = 0x002_0000;
const STICKY_TIMEOUTS: u32 = 0x400_0000;
const PER_LINUX32: u32 = 8;
const PER_SOLARIS: u32 = STICKY_TIMEOUTS | 0xd;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("query", process::personality(u32::MAX));
    show("set", process::personality(ADDR_NO_RANDOMIZE));
    show("query", process::personality(u32::MAX));
    say!("{}", child::run(|| {
        show("child", process::personality(u32::MAX));
        0
    }));
    show("back", process::personality(0));
    for wanted in [0, PER_LINUX32, UNAME26, UNAME26 | PER_LINUX32, STICKY_TIMEOUTS, PER_SOLARIS] {
        let _ = process::personality(wanted);
        named(wanted);
        timed_out(wanted);
    }
    show("back", process::personality(0));
    0
}

/// The machine's name, and whether the release is an old one.
fn named(personality: u32) {
    let mut names = libc::utsname::zeroed();
    let _ = process::uname(&mut names);
    let text = |field: &[i8]| -> String { field.iter().take_while(|c| **c != 0).map(|c| *c as u8 as char).collect() };
    let old = text(&names.release).starts_with("2.6.");
    say!("{personality:#x}: {} old {old}", text(&names.machine));
}

/// Whether select writes back how much time was left: none.
fn timed_out(personality: u32) {
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 3000 };
    let ready = file::select(0, None, None, None, Some(&mut time));
    say!("{personality:#x}: select {ready:?}, left {}", time.tv_usec);
}
