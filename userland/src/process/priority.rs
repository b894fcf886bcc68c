//! getpriority(2) gives 20 - nice; setpriority(2) clamps; only root lowers it.
use crate::out::{say, show};
use crate::sys::{child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        show("set 5", process::setpriority(libc::PRIO_PROCESS, 0, 5));
        show("get", process::getpriority(libc::PRIO_PROCESS, 0));
        show("set 100", process::setpriority(libc::PRIO_PROCESS, 0, 100));
        show("get", process::getpriority(libc::PRIO_PROCESS, 0));
        say!("{}", child::run(|| {
            show("inherited", process::getpriority(libc::PRIO_PROCESS, 0));
            0
        }));
        show("bad which", process::setpriority(7, 0, 1));
        show("no such process", process::getpriority(libc::PRIO_PROCESS, 0x3fff_fff0));
        show("no such process", process::setpriority(libc::PRIO_PROCESS, 0x3fff_fff0, 1));
        0
    }));
    0
}
