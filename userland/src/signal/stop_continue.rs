//! A stopped process handles signals only when it goes on; SIGCONT's handler runs then; SIGCONT
//! discards pending stops and the other way round (signal(7)).
use crate::out::say;
use crate::sys::signal::{self, bit, mask_names};
use crate::sys::{child, file, process};
use std::ffi::CStr;

extern "C" fn on_signal(sig: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("handled {}", signal::name(sig));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let pid = child::start(|| {
        let _ = signal::handle(libc::SIGCONT, on_signal, 0, u64::MAX);
        let _ = signal::handle(libc::SIGUSR1, on_signal, 0, u64::MAX);
        let _ = signal::raise(libc::SIGSTOP);
        let _ = file::write(tx, b"x");
        0
    });
    let _ = process::wait4(pid, None, libc::WUNTRACED, None);
    let _ = signal::kill(pid, libc::SIGUSR1);
    let _ = signal::kill(pid, libc::SIGCONT);
    let _ = file::read(rx, &mut [0]);
    say!("{}", child::end_of(pid));
    say!("{}", child::run(|| {
        let _ = signal::block(bit(libc::SIGTSTP) | bit(libc::SIGCONT));
        let _ = signal::raise(libc::SIGTSTP);
        say!("stop pending: {}", mask_names(signal::pending()));
        let _ = signal::raise(libc::SIGCONT);
        say!("continue sent: {}", mask_names(signal::pending()));
        let _ = signal::raise(libc::SIGTSTP);
        say!("stop again: {}", mask_names(signal::pending()));
        0
    }));
    0
}
