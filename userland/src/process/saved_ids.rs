//! The saved user ID lets a process take its rights back; the effective one decides (setresuid(2),
//! setreuid(2), credentials(7)).
use crate::out::{say, show};
use crate::sys::{child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        show("effective only", process::setresuid(u32::MAX, 1000, u32::MAX));
        tell();
        show("to another", process::setresuid(u32::MAX, 2000, u32::MAX));
        show("to root by setuid", process::setuid(0));
        tell();
        show("setreuid(1000, 2000)", process::setreuid(1000, 2000));
        tell();
        show("swap", process::setreuid(2000, 1000));
        tell();
        show("to root", process::setresuid(0, 0, 0));
        show("effective to saved", process::setuid(1000));
        tell();
        show("setfsuid", process::setfsuid(7));
        show("setfsuid", process::setfsuid(u32::MAX));
        0
    }));
    0
}

fn tell() {
    let (mut r, mut e, mut s) = (9, 9, 9);
    let _ = process::getresuid(&mut r, &mut e, &mut s);
    say!("uid {r} {e} {s}");
}
