//! What timerfd_create(2) and its kin refuse.
use crate::out::{show, show_ok};
use crate::sys::event::{fd_or_say, setting, timerfd_create, timerfd_gettime, timerfd_settime};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for clock in -1..=12 {
        if !matches!(clock, 8 | 9) {
            show_ok(&format!("clock {clock}"), timerfd_create(clock, 0));
        }
    }
    show("flags", timerfd_create(libc::CLOCK_MONOTONIC, 1));
    show_ok("known flags", timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK));
    let fd = fd_or_say("timer", timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK));
    let good = setting(1_000_000_000, 0);
    show("unknown flag", timerfd_settime(fd, 4, Some(&good), None));
    show("null", timerfd_settime(fd, 0, None, None));
    show("null first", timerfd_settime(fd, 4, None, None));
    show("nanoseconds", timerfd_settime(fd, 0, Some(&[0, 0, 0, 1_000_000_000]), None));
    show("negative", timerfd_settime(fd, 0, Some(&[0, 0, -1, 0]), None));
    show("bad interval", timerfd_settime(fd, 0, Some(&[0, -1, 1, 0]), None));
    show("closed", timerfd_settime(99, 0, Some(&good), None));
    show("not a timer", timerfd_settime(0, 0, Some(&good), None));
    show("get closed", timerfd_gettime(99, None));
    show("get not a timer", timerfd_gettime(0, None));
    show("get null", timerfd_gettime(fd, None));
    show("read", file::read(fd, &mut [0; 8]));
    show("read less", file::read(fd, &mut [0; 7]));
    show("write", file::write(fd, &[0; 8]));
    show("seek", file::lseek(fd, 0, libc::SEEK_SET));
    show("pread", file::pread(fd, &mut [0; 8], 0));
    show("truncate", file::ftruncate(fd, 0));
    show("set", timerfd_settime(fd, libc::TFD_TIMER_CANCEL_ON_SET, Some(&good), None));
    0
}
