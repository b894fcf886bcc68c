//! fork(2): PIDs and parents of child and grandchild; group and session are inherited.
use crate::out::say;
use crate::sys::{child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let me = process::getpid();
    let (group, session) = (process::getpgid(0), process::getsid(0));
    say!("pid is tid: {}", me == process::gettid());
    say!("getpgid is getpgrp: {}", group == process::getpgrp());
    let end = child::run(|| {
        let own = process::getpid();
        say!("child: pid differs: {}", own != me);
        say!("child: parent is me: {}", process::getppid() == me);
        say!("child: same group: {}", process::getpgid(0) == group);
        say!("child: same session: {}", process::getsid(0) == session);
        say!("grandchild {}", child::run(|| i32::from(process::getppid() != own)));
        5
    });
    say!("child {end}");
    0
}
