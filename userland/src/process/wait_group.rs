//! wait4(2) by process group: -pgid and 0 choose only that group's children.
use crate::out::{say, show};
use crate::sys::{child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let leader = child::start(|| {
        let _ = process::setpgid(0, 0);
        1
    });
    show("setpgid leader", process::setpgid(leader, leader).or(Ok(0)));
    let member = child::start(|| 2);
    let joined = process::setpgid(member, leader).is_ok();
    let mine = child::start(|| 3);
    let mut status = 0;
    say!("own group: {}", process::wait4(0, Some(&mut status), 0, None) == Ok(mine as usize));
    say!("{}", child::Status(status));
    show("own group again", process::wait4(0, None, 0, None));
    let mut seen = 0;
    while process::wait4(-leader, Some(&mut status), 0, None).is_ok() {
        seen += libc::WEXITSTATUS(status);
    }
    say!("that group's codes: {seen} (joined {joined})");
    show("any", process::wait4(-1, None, 0, None));
    0
}
