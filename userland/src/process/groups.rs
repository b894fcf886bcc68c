//! setpgid(2), getpgid(2) and their errors: EINVAL, ESRCH, EPERM, EACCES after an exec.
use crate::out::{say, show};
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        let me = process::getpid().unwrap_or(0) as i32;
        show("setpgid(0, 0)", process::setpgid(0, 0));
        say!("leader: {}", process::getpgid(0) == Ok(me as usize));
        show("negative", process::setpgid(0, -1));
        show("no such group", process::setpgid(0, 0x3fff_fff0));
        show("no such process", process::setpgid(0x3fff_fff0, 0));
        show("getpgid of none", process::getpgid(0x3fff_fff0));
        show("getpgid negative", process::getpgid(-1));
        show("the parent", process::setpgid(process::getppid().unwrap_or(0) as i32, 0));
        let (rx, tx) = file::pipe2(libc::O_CLOEXEC).unwrap_or((-1, -1));
        let pid = child::start(|| {
            let args = [c"b", c"--helper", c"sleep", c"10000"];
            let _ = process::execve(crate::exec::SELF, &args, &[]);
            0
        });
        let _ = file::close(tx);
        let _ = file::read(rx, &mut [0]);
        show("a child that executed", process::setpgid(pid, pid));
        let _ = crate::sys::signal::kill(pid, libc::SIGKILL);
        say!("{}", child::end_of(pid));
        0
    }));
    let pid = child::start(|| {
        let _ = crate::sys::signal::pause();
        0
    });
    show("a child's group", process::setpgid(pid, pid));
    say!("set: {}", process::getpgid(pid) == Ok(pid as usize));
    show("back", process::setpgid(pid, process::getpgrp().unwrap_or(0) as i32));
    let _ = crate::sys::signal::kill(pid, libc::SIGKILL);
    say!("{}", child::end_of(pid));
    0
}
