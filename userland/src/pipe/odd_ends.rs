//! splice(2) and sendfile(2) between a pipe and what isn't a file with contents: event descriptors refuse.
use crate::out::show;
use crate::sys::{event, file};
use std::ffi::CStr;

fn splice(from: i32, to: i32, len: usize) -> crate::sys::Res {
    let (from, to) = (from as usize, to as usize);
    // SAFETY: numbers, and no positions.
    unsafe { crate::sys::call(libc::SYS_splice, [from, 0, to, 0, len, libc::SPLICE_F_NONBLOCK as usize]) }
}

fn sendfile(from: i32, to: i32) -> crate::sys::Res {
    // SAFETY: likewise.
    unsafe { crate::sys::call(libc::SYS_sendfile, [to as usize, from as usize, 0, 8, 0, 0]) }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let open = |name: &CStr, flags| file::open_or_say(name, flags, 0);
    let fd = event::fd_or_say;
    let mask = 1u64 << 9;
    let odd = [
        ("counter", fd("eventfd", event::eventfd2(1, 0))),
        ("timer", fd("timerfd", event::timerfd_create(1, 0))),
        ("signals", fd("signalfd", event::signalfd4(-1, Some(&mask), 8, 0))),
        ("watches", fd("inotify", event::inotify_init1(0))),
        ("epoll", fd("epoll", event::epoll_create1(0))),
    ];
    let (out, into) = file::pipe();
    let null = open(c"/dev/null", libc::O_WRONLY);
    for (name, fd) in odd {
        show(name, splice(fd, into, 8));
        show(name, sendfile(fd, null));
    }
    show("zero", splice(open(c"/dev/zero", 0), into, 16));
    for (name, fd) in odd {
        show(name, splice(out, fd, 8));
    }
    show("null", splice(out, null, 8));
    show("left", splice(out, null, 100));
    0
}
