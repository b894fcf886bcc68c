//! clone(2): the exit signal of the low byte; children without SIGCHLD need __WCLONE or __WALL.
use crate::out::{say, show};
use crate::sys::{child, process, signal};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

static COUNT: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    COUNT.fetch_add(1, SeqCst);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGUSR2, on_signal, libc::SA_RESTART, 0);
    let pid = child::start_on_stack(libc::SIGUSR2, || 3);
    show("plain wait", process::wait4(pid, None, 0, None));
    say!("__WCLONE {}", wait(pid, libc::__WCLONE));
    say!("signals {}", COUNT.load(SeqCst));
    let pid = child::start_on_stack(0, || 4);
    show("plain wait", process::wait4(pid, None, 0, None));
    say!("__WALL {}", wait(pid, libc::__WALL));
    let pid = child::start_on_stack(libc::SIGCHLD, || 5);
    show("__WCLONE for a plain child", process::wait4(pid, None, libc::__WCLONE, None));
    say!("{}", child::end_of(pid));
    say!("signals {}", COUNT.load(SeqCst));
    0
}

fn wait(pid: i32, options: i32) -> String {
    let mut status = 0;
    match process::wait4(pid, Some(&mut status), options, None) {
        Ok(_) => child::Status(status).to_string(),
        Err(errno) => errno.to_string(),
    }
}
