//! timerfd: one expiry, periods counted, absolute times, disarming, what settime and gettime tell.
use crate::out::{say, show};
use crate::sys::event::{fd_or_say, number, setting, timerfd_create, timerfd_gettime, timerfd_settime};
use crate::sys::{file, time};
use std::ffi::CStr;

const MS: i64 = 1_000_000;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for clock in [libc::CLOCK_MONOTONIC, libc::CLOCK_REALTIME, libc::CLOCK_BOOTTIME] {
        say!("clock {clock}");
        once(clock);
        periodic(clock);
        absolute(clock);
    }
    0
}

fn once(clock: i32) {
    let fd = fd_or_say("timer", timerfd_create(clock, 0));
    // So far away that it can't have expired before it is looked at.
    show("arm", timerfd_settime(fd, 0, Some(&setting(900 * MS, 0)), None));
    let mut left = [-1; 4];
    show("get", timerfd_gettime(fd, Some(&mut left)));
    say!("left {}", left[0] == 0 && left[1] == 0 && left[2] == 0 && left[3] > 0 && left[3] <= 900 * MS);
    let start = time::monotonic();
    show("arm", timerfd_settime(fd, 0, Some(&setting(20 * MS, 0)), None));
    say!("read {:?}", number(fd));
    say!("not early {}", time::monotonic() - start >= 20 * MS);
    show("get", timerfd_gettime(fd, Some(&mut left)));
    say!("{left:?}");
    let _ = file::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK as usize);
    say!("again {:?}", number(fd));
    show("arm", timerfd_settime(fd, 0, Some(&setting(5 * MS, 0)), None));
    let _ = time::sleep_ms(15);
    let mut old = [-1; 4];
    show("disarm", timerfd_settime(fd, 0, Some(&[0; 4]), Some(&mut old)));
    say!("{old:?} {:?}", number(fd));
    show("arm", timerfd_settime(fd, 0, Some(&setting(500 * MS, 700 * MS)), None));
    show("disarm", timerfd_settime(fd, 0, Some(&[0; 4]), Some(&mut old)));
    say!("{} {}", old[0] == 0 && old[1] == 700 * MS, old[3] > 100 * MS && old[3] <= 500 * MS);
    let _ = file::close(fd);
}

fn periodic(clock: i32) {
    let fd = fd_or_say("timer", timerfd_create(clock, libc::TFD_NONBLOCK));
    show("arm", timerfd_settime(fd, 0, Some(&setting(10 * MS, 10 * MS)), None));
    let _ = time::sleep_ms(65);
    let count = number(fd).unwrap_or(0);
    say!("several {}", (6..1000).contains(&count));
    let _ = time::sleep_ms(25);
    let mut left = [-1; 4];
    show("get", timerfd_gettime(fd, Some(&mut left)));
    say!("left {} period {}", left[3] > 0 && left[3] <= 10 * MS, left[1] == 10 * MS);
    say!("still there {}", number(fd).unwrap_or(0) >= 2);
    let mut old = [-1; 4];
    show("slower", timerfd_settime(fd, 0, Some(&setting(5_000 * MS, 0)), Some(&mut old)));
    say!("left {} period {}", old[3] > 0 && old[3] <= 10 * MS, old[1] == 10 * MS);
    say!("{:?}", number(fd));
    let _ = file::close(fd);
}

fn absolute(clock: i32) {
    let fd = fd_or_say("timer", timerfd_create(clock, 0));
    let now = time::now(clock);
    show("past", timerfd_settime(fd, libc::TFD_TIMER_ABSTIME, Some(&setting((now - 50 * MS).max(1), 0)), None));
    say!("{:?}", number(fd));
    show("past, periodic", timerfd_settime(fd, libc::TFD_TIMER_ABSTIME, Some(&setting((now - 1000 * MS).max(1), MS)), None));
    let count = number(fd).unwrap_or(0);
    say!("{}", count > 5);
    let soon = time::now(clock) + 20 * MS;
    show("soon", timerfd_settime(fd, libc::TFD_TIMER_ABSTIME, Some(&setting(soon, 0)), None));
    say!("{:?} {}", number(fd), time::now(clock) >= soon);
    let _ = file::close(fd);
}
