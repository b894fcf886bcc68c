//! wait4(2) with WNOHANG: 0 while the child runs, its PID once it has ended, then ECHILD.
use crate::out::{say, show};
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let pid = child::start(|| {
        let _ = file::close(tx);
        let _ = file::read(rx, &mut [0]);
        3
    });
    let mut status = 0x5555;
    show("running", process::wait4(pid, Some(&mut status), libc::WNOHANG, None));
    say!("status untouched: {}", status == 0x5555);
    let _ = file::close(tx);
    let got = loop {
        match process::wait4(pid, Some(&mut status), libc::WNOHANG, None) {
            Ok(0) => { let _ = process::sched_yield(); }
            other => break other,
        }
    };
    say!("its pid: {}", got == Ok(pid as usize));
    say!("{}", child::Status(status));
    show("again", process::wait4(pid, None, libc::WNOHANG, None));
    0
}
