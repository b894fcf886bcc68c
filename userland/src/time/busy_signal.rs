//! A signal reaches a process that never calls the kernel: its handler runs, or it dies.
use crate::out::say;
use crate::sys::{child, process, signal, time};
use std::ffi::CStr;

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    process::exit(21);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for sig in [libc::SIGUSR1, libc::SIGTERM, libc::SIGKILL] {
        let pid = child::start(|| {
            let _ = signal::handle(libc::SIGUSR1, on_signal, 0, 0);
            loop {
                std::hint::spin_loop();
            }
        });
        let _ = time::sleep_ms(20);
        let _ = signal::kill(pid, sig);
        say!("{}: {}", signal::name(sig), child::end_of(pid));
    }
    0
}
