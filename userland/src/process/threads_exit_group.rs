//! exit_group(2) from a thread ends the whole process, others blocked or busy.
use crate::out::say;
use crate::sys::{child, process, signal, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("a signal ends all: {}", child::run(|| {
        busy();
        let _ = signal::raise(libc::SIGTERM);
        0
    }));
    busy();
    let _ = std::thread::spawn(|| process::exit(5)).join();
    0
}

fn busy() {
    std::thread::spawn(|| loop {
        std::hint::spin_loop();
    });
    std::thread::spawn(|| loop {
        let _ = signal::pause();
    });
    let _ = time::sleep_ms(5);
}
