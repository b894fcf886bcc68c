//! SIGKILL for a group whose members fork all the time ends all of them: none is missed because it is just being made.
use crate::out::say;
use crate::sys::{self, child, process, time};
use std::ffi::CStr;

const ROUNDS: usize = 30;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = process::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    let mut left = 0;
    for _ in 0..ROUNDS {
        let leader = child::start(|| {
            let _ = process::setpgid(0, 0);
            multiply()
        });
        let _ = process::setpgid(leader, leader);
        let _ = time::sleep_ms(10);
        let group = -(leader as isize) as usize;
        // SAFETY: signals touch none of this process's memory.
        let _ = unsafe { sys::call(libc::SYS_kill, [group, libc::SIGKILL as usize, 0, 0, 0, 0]) };
        let _ = time::sleep_ms(1);
        while process::wait4(-1, None, libc::WNOHANG, None).is_ok_and(|pid| pid != 0) {}
        for _ in 0..2000 {
            if process::wait4(-1, None, libc::WNOHANG, None).is_err() {
                break;
            }
            let _ = time::sleep_ms(1);
        }
        // SAFETY: as above.
        left += usize::from(unsafe { sys::call(libc::SYS_kill, [group, libc::SIGKILL as usize, 0, 0, 0, 0]) }.is_ok());
    }
    say!("{ROUNDS} rounds, groups with members left: {left}");
    0
}

/// Each makes one after itself and goes, for ever.
fn multiply() -> i32 {
    loop {
        let child = child::start(|| 0);
        let _ = child::wait(child);
        match process::fork() {
            Ok(0) => {}
            _ => return 0,
        }
    }
}
