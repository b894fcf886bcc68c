//! With SIGCHLD ignored, or SA_NOCLDWAIT, children leave no zombie: wait4 blocks until all have
//! ended, then says ECHILD (wait(2)).
use crate::out::{say, show};
use crate::sys::{child, process, signal, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::set(libc::SIGCHLD, signal::SIG_IGN);
    round("ignored");
    let action = signal::KernelAction {
        flags: libc::SA_NOCLDWAIT as u64,
        ..signal::KernelAction::default()
    };
    let _ = signal::rt_sigaction(libc::SIGCHLD, Some(&action), None, signal::SET);
    round("SA_NOCLDWAIT");
    let _ = signal::set(libc::SIGCHLD, signal::SIG_DFL);
    say!("default: {}", child::run(|| 8));
    0
}

fn round(label: &str) {
    let start = time::monotonic();
    let pid = child::start(|| {
        let _ = time::sleep_ms(30);
        3
    });
    show(label, process::wait4(-1, None, 0, None));
    say!("waited: {}", time::monotonic() - start >= 30_000_000);
    show("gone", signal::kill(pid, 0));
}
