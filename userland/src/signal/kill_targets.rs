//! kill(2): a process, the own group (0), another group (negative), nobody (ESRCH).
use crate::out::{say, show};
use crate::sys::{child, file, process, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let leader = child::start(|| {
        let _ = process::setpgid(0, 0);
        let inner: Vec<i32> = (0..3).map(|_| child::start(sleeper)).collect();
        let _ = file::write(tx, b"x");
        let _ = signal::set(libc::SIGUSR1, signal::SIG_IGN);
        let _ = file::write(tx, b"x");
        for pid in inner {
            say!("member {}", child::end_of(pid));
        }
        show("own group, signal 0", signal::kill(0, 0));
        let _ = signal::kill(0, libc::SIGTERM);
        0
    });
    let _ = file::read(rx, &mut [0]);
    let _ = file::read(rx, &mut [0]);
    let sent = signal::kill(-leader, libc::SIGUSR1);
    say!("leader {}", child::end_of(leader));
    show("group", sent);
    show("the group is gone", signal::kill(-leader, 0));
    show("no such process", signal::kill(0x3fff_fff0, libc::SIGTERM));
    show("no such group", signal::kill(-0x3fff_fff0, libc::SIGTERM));
    show("INT_MIN", signal::kill(i32::MIN, 0));
    0
}

fn sleeper() -> i32 {
    loop {
        let _ = signal::pause();
    }
}
