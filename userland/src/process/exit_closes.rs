//! Ending, by exit or by a signal, closes descriptors: a pipe's other end sees it.
use crate::out::{say, show};
use crate::sys::{child, file, process, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for how in ["exit_group", "exit", "SIGKILL", "SIGSEGV"] {
        let (rx, tx) = file::pipe();
        let pid = child::start(|| {
            let _ = crate::sys::time::sleep_ms(5);
            match how {
                "exit" => process::exit_thread(0),
                "SIGKILL" => { let _ = signal::raise(libc::SIGKILL); }
                "SIGSEGV" => { let _ = signal::raise(libc::SIGSEGV); }
                _ => {}
            }
            0
        });
        let _ = file::close(tx);
        show(how, file::read(rx, &mut [0]));
        say!("{}", child::end_of(pid));
        let _ = file::close(rx);
    }
    0
}
