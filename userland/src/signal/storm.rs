//! Two processes send each other thousands of signals; none crashes, each ends as it wants.
use crate::out::say;
use crate::sys::{child, process, signal};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

static COUNT: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    COUNT.fetch_add(1, SeqCst);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGUSR1, on_signal, 0, 0);
    let _ = signal::handle(libc::SIGUSR2, on_signal, libc::SA_NODEFER, 0);
    let parent = process::getpid().unwrap_or(0) as i32;
    let pid = child::start(|| {
        for i in 0..2000 {
            let _ = signal::kill(parent, if i % 2 == 0 { libc::SIGUSR1 } else { libc::SIGUSR2 });
        }
        3
    });
    let mut sum = 0u64;
    let mut status = 0;
    loop {
        let _ = signal::kill(pid, libc::SIGURG);
        sum = sum.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if process::wait4(pid, Some(&mut status), libc::WNOHANG, None) == Ok(pid as usize) {
            break;
        }
    }
    say!("{} some arrived: {}", child::Status(status), COUNT.load(SeqCst) > 0);
    std::hint::black_box(sum);
    0
}
