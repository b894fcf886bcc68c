//! With SIGCHLD ignored, or SA_NOCLDWAIT, children leave no zombie: wait4 blocks until all have
//! ended, then says ECHILD (wait(2)). What they used is nobody's (getrusage(2)).
use crate::out::{say, show};
use crate::sys::{Plain, child, process, signal, time};
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
    let before = used();
    let start = time::monotonic();
    let pid = child::start(|| {
        let _ = time::sleep_ms(30);
        3
    });
    show(label, process::wait4(-1, None, 0, None));
    say!("waited: {}", time::monotonic() - start >= 30_000_000);
    show("gone", signal::kill(pid, 0));
    say!("nothing used: {}", used() == before);
}

/// Resident set and faults of children that were waited for, also by what ran in this process before.
fn used() -> (i64, i64) {
    let mut usage = libc::rusage::zeroed();
    let _ = process::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
    (usage.ru_maxrss, usage.ru_minflt)
}
