//! eventfd: counting, semaphores, overflow, poll, sizes.
use crate::out::{say, show, show_ok};
use crate::sys::event::{eventfd2, fd_or_say, number};
use crate::sys::{child, file, time};
use std::ffi::CStr;

fn add(fd: i32, value: u64) -> crate::sys::Res {
    file::write(fd, &value.to_ne_bytes())
}

fn poll(fd: i32) -> String {
    let mut fds = [libc::pollfd { fd, events: -1, revents: 0 }];
    let count = file::poll(&mut fds, 0);
    format!("{count:?} {:#x}", fds[0].revents)
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("flags", eventfd2(0, 4));
    show_ok("all flags", eventfd2(0, libc::EFD_SEMAPHORE | libc::EFD_CLOEXEC | libc::EFD_NONBLOCK));
    let fd = fd_or_say("eventfd", eventfd2(3, libc::EFD_NONBLOCK));
    say!("{} {:?} {:?} {}", poll(fd), number(fd), number(fd), poll(fd));
    show("add", add(fd, 5));
    show("add", add(fd, 6));
    say!("{:?}", number(fd));
    show("too much at once", add(fd, u64::MAX));
    show("the most", add(fd, u64::MAX - 1));
    say!("full {}", poll(fd));
    show("one more", add(fd, 1));
    show("nothing more", add(fd, 0));
    say!("{:?}", number(fd));
    show("short read", file::read(fd, &mut [0; 7]));
    show("long read", file::read(fd, &mut [0; 9]));
    show("short write", file::write(fd, &[0; 7]));
    show("long write", file::write(fd, &[1; 9]));
    show("pwrite", file::pwrite(fd, &[0; 8], 0));
    let sem = fd_or_say("semaphore", eventfd2(2, libc::EFD_SEMAPHORE | libc::EFD_NONBLOCK));
    say!("{:?} {:?} {:?}", number(sem), number(sem), number(sem));
    let both = fd_or_say("blocking", eventfd2(0, 0));
    let waker = child::start(|| {
        let _ = time::sleep_ms(20);
        let _ = add(both, 9);
        0
    });
    say!("woken with {:?}, {}", number(both), child::end_of(waker));
    let _ = add(both, u64::MAX - 1);
    let taker = child::start(|| {
        let _ = time::sleep_ms(20);
        let _ = number(both);
        0
    });
    say!("wrote {:?}, {}, {:?}", add(both, 4), child::end_of(taker), number(both));
    0
}
