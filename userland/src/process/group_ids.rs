//! setresgid(2): with and without root.
use crate::out::{say, show};
use crate::sys::{child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        show("setresgid", process::setresgid(1, 2, 3));
        tell();
        show("give up root", process::setresuid(1000, 1000, 1000));
        show("to a saved one", process::setresgid(3, 1, 2));
        tell();
        show("to another", process::setresgid(4, u32::MAX, u32::MAX));
        show("setgid to real", process::setgid(3));
        tell();
        show("setgid to another", process::setgid(0));
        0
    }));
    0
}

fn tell() {
    let (mut r, mut e, mut s) = (9, 9, 9);
    let _ = process::getresgid(&mut r, &mut e, &mut s);
    say!("gid {r} {e} {s}");
}
