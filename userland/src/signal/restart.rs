//! With SA_RESTART a blocking call goes on after the handler; without it, EINTR (signal(7)).
use crate::out::say;
use crate::sys::{Res, child, file, process, signal, task};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

static COUNT: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    COUNT.fetch_add(1, SeqCst);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (label, flags) in [("plain", 0), ("SA_RESTART", libc::SA_RESTART)] {
        let _ = signal::handle(libc::SIGUSR1, on_signal, flags, 0);
        let (rx, tx) = file::pipe();
        disturbed(&format!("{label}: read"), || file::read(rx, &mut [0; 8]), || {
            let _ = file::write(tx, b"data");
        });
        let (end, told) = file::pipe();
        disturbed(&format!("{label}: wait4"), || {
            let pid = child::start(|| {
                let _ = file::read(end, &mut [0]);
                0
            });
            let result = process::wait4(pid, None, 0, None).map(|got| usize::from(got == pid as usize));
            let _ = child::wait(pid);
            result
        }, || {
            let _ = file::write(told, b"x");
        });
        let (rx, tx) = file::pipe();
        let _ = file::write(tx, &vec![0; 65_536]);
        disturbed(&format!("{label}: write"), || file::write(tx, &[1; 4096]), || {
            let _ = file::read(rx, &mut vec![0; 65_536]);
        });
        let _ = file::close(rx);
        let _ = file::close(tx);
    }
    0
}

/// Runs `call` while a child sends SIGUSR1 when this process sleeps in it, and does `help` when it sleeps
/// again.
fn disturbed(label: &str, call: impl FnOnce() -> Res, help: impl FnOnce()) {
    let me = process::getpid().unwrap_or(0) as i32;
    COUNT.store(0, SeqCst);
    let pid = child::start(|| {
        task::until_asleep(me);
        let _ = signal::kill(me, libc::SIGUSR1);
        task::until_asleep(me);
        help();
        0
    });
    let result = call();
    let end = child::end_of(pid);
    match result {
        Ok(n) => say!("{label}: {n}, handled {}, {end}", COUNT.load(SeqCst)),
        Err(errno) => say!("{label}: {errno}, handled {}, {end}", COUNT.load(SeqCst)),
    }
}
