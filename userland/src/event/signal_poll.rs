//! signalfd with poll and epoll.
use crate::out::{say, show};
use crate::sys::event::{epoll_create1, epoll_ctl, epoll_wait, fd_or_say, kill, signalfd4};
use crate::sys::{child, file, process, signal, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let set = 1u64 << (libc::SIGUSR1 - 1);
    let _ = signal::block(set);
    let fd = fd_or_say("signalfd", signalfd4(-1, Some(&set), 8, libc::SFD_NONBLOCK));
    let poll = |timeout| {
        let mut fds = [libc::pollfd { fd, events: -1, revents: 0 }];
        let count = file::poll(&mut fds, timeout);
        format!("{count:?} {:#x}", fds[0].revents)
    };
    let me = process::getpid().unwrap_or(0) as i32;
    let send = || {
        child::start(|| {
            let _ = time::sleep_ms(20);
            let _ = kill(me, libc::SIGUSR1);
            0
        })
    };
    say!("idle {}", poll(0));
    let waker = send();
    say!("waits {}", poll(5000));
    say!("{}", child::end_of(waker));
    say!("read {:?}", file::read(fd, &mut [0; 128]));
    say!("idle {}", poll(0));
    let epoll = fd_or_say("epoll", epoll_create1(0));
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 1 };
    show("add", epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, Some(&mut event)));
    let waker = send();
    let mut got = libc::epoll_event { events: 0, u64: 0 };
    let count = epoll_wait(epoll, &mut got, 1, 5000);
    let events = got.events;
    say!("epoll {count:?} {events:#x}");
    say!("{}", child::end_of(waker));
    0
}
