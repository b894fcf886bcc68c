//! timerfd with poll and epoll, level and edge, and inherited by a child.
use crate::out::{say, show};
use crate::sys::event::{epoll_create1, epoll_ctl, epoll_wait, fd_or_say, number, setting, timerfd_create, timerfd_settime};
use crate::sys::{child, file};
use std::ffi::CStr;

const MS: i64 = 1_000_000;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let fd = fd_or_say("timer", timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK));
    let poll = |timeout| {
        let all = libc::POLLIN | libc::POLLOUT | libc::POLLRDNORM | libc::POLLPRI;
        let mut fds = [libc::pollfd { fd, events: all, revents: 0 }];
        let count = file::poll(&mut fds, timeout);
        format!("{count:?} {:#x}", fds[0].revents)
    };
    say!("idle {}", poll(0));
    show("arm", timerfd_settime(fd, 0, Some(&setting(20 * MS, 0)), None));
    say!("waits {}", poll(5000));
    say!("stays {}", poll(0));
    let epoll = fd_or_say("epoll", epoll_create1(0));
    let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: 7 };
    show("add", epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, Some(&mut event)));
    let wait = |timeout| {
        let mut got = libc::epoll_event { events: 0, u64: 0 };
        let count = epoll_wait(epoll, &mut got, 1, timeout);
        let (events, data) = (got.events, got.u64);
        format!("{count:?} {events:#x} {data}")
    };
    say!("edge {}", wait(0));
    say!("edge again {}", wait(0));
    show("arm", timerfd_settime(fd, 0, Some(&setting(10 * MS, 0)), None));
    say!("edge anew {}", wait(5000));
    say!("read {:?}", number(fd));
    show("arm", timerfd_settime(fd, 0, Some(&setting(10 * MS, 0)), None));
    let _ = file::fcntl(fd, libc::F_SETFL, 0);
    let end = child::run(|| {
        say!("child reads {:?}", number(fd));
        0
    });
    say!("{end}, parent finds {}", poll(0));
    0
}
