//! TFD_TIMER_CANCEL_ON_SET: setting the clock ends the wait; the timers of the wall clock move.
use crate::out::{say, show};
use crate::sys::event::{fd_or_say, number, setting, timerfd_create, timerfd_settime};
use crate::sys::{file, time};
use std::ffi::CStr;

const SECOND: i64 = 1_000_000_000;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let fd = fd_or_say("timer", timerfd_create(libc::CLOCK_REALTIME, libc::TFD_NONBLOCK));
    let both = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
    let now = time::now(libc::CLOCK_REALTIME);
    show("arm", timerfd_settime(fd, both, Some(&setting(now + 3600 * SECOND, 0)), None));
    say!("{:?}", number(fd));
    let set = |ns: i64| time::clock_settime(libc::CLOCK_REALTIME, &time::spec(ns / SECOND, ns % SECOND));
    let before = time::now(libc::CLOCK_REALTIME);
    match set(before) {
        Err(errno) => say!("cannot set: {errno}"),
        Ok(_) => {
            let mut fds = [libc::pollfd { fd, events: libc::POLLIN, revents: 0 }];
            say!("{:?} {:?}", file::poll(&mut fds, 1000), number(fd));
            say!("{:?}", number(fd));
            show("arm", timerfd_settime(fd, both, Some(&setting(now + 3600 * SECOND, 0)), None));
            let _ = set(time::now(libc::CLOCK_REALTIME));
            show("armed with the clock set", timerfd_settime(fd, both, Some(&setting(now + 3600 * SECOND, 0)), None));
            show("and again", timerfd_settime(fd, both, Some(&setting(now + 3600 * SECOND, 0)), None));
        }
    }
    0
}
