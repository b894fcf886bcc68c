//! signalfd: a blocking read woken by a signal; a child reads its own signals from the file; a
//! handler for another signal breaks the read.
use crate::out::say;
use crate::sys::event::{fd_or_say, kill, signalfd4};
use crate::sys::{child, file, process, signal, time};
use std::ffi::CStr;

extern "C" fn handler(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let set = 1u64 << (libc::SIGUSR1 - 1);
    let _ = signal::block(set);
    let fd = fd_or_say("signalfd", signalfd4(-1, Some(&set), 8, 0));
    let me = process::getpid().unwrap_or(0) as i32;
    let mut buf = [0u8; 128];
    let waker = child::start(|| {
        let _ = time::sleep_ms(30);
        let _ = kill(me, libc::SIGUSR1);
        0
    });
    say!("read {:?} signal {}", file::read(fd, &mut buf), buf[0]);
    say!("{}", child::end_of(waker));
    let _ = kill(me, libc::SIGUSR1);
    let end = child::run(|| {
        let _ = file::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK as usize);
        say!("child finds {:?}", file::read(fd, &mut [0; 128]));
        let _ = signal::raise(libc::SIGUSR1);
        say!("child reads its own {:?}", file::read(fd, &mut [0; 128]));
        let _ = file::fcntl(fd, libc::F_SETFL, 0);
        0
    });
    say!("{end}");
    say!("parent's {:?}", file::read(fd, &mut buf));
    let _ = signal::handle(libc::SIGUSR2, handler, 0, 0);
    let waker = child::start(|| {
        let _ = time::sleep_ms(30);
        let _ = kill(me, libc::SIGUSR2);
        0
    });
    say!("interrupted {:?}", file::read(fd, &mut buf));
    say!("{}", child::end_of(waker));
    0
}
