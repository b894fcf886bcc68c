//! O_ASYNC: signals of pipes and sockets, whose owner they reach, what they say.
use crate::out::{say, show};
use crate::sys::{child, event, event::kill, file, net, process, signal};
use std::ffi::CStr;

const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;
const F_SETOWN_EX: i32 = 15;
const F_GETOWN_EX: i32 = 16;
const F_GETOWNER_UIDS: i32 = 17;

extern "C" fn note(number: i32, info: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    // SAFETY: any bytes are numbers.
    let words = unsafe { *std::ptr::from_ref(info).cast::<[u32; 8]>() };
    say!("  {} code {:#x} band {:#x} fd {}", signal::name(number), info.si_code, words[4], words[6]);
}

fn asynchronous(fd: i32, on: bool) {
    let flags = libc::O_NONBLOCK | if on { libc::O_ASYNC } else { 0 };
    show("flags", file::fcntl(fd, libc::F_SETFL, flags as usize));
}

fn own(fd: i32, owner: i32) -> crate::sys::Res {
    file::fcntl(fd, libc::F_SETOWN, owner as isize as usize)
}

fn owners(fd: i32) {
    let me = process::getpid().unwrap_or(0) as i32;
    let mut told = [9u32, 9];
    say!("nobody {:?}", file::fcntl(fd, libc::F_GETOWN, 0));
    show("nobody", file::fcntl(fd, F_GETOWN_EX, told.as_mut_ptr() as usize));
    say!("{told:?}");
    show("process", own(fd, me));
    say!("{}", file::fcntl(fd, libc::F_GETOWN, 0) == Ok(me as usize));
    show("not there", own(fd, 0x3FFF_FFF0));
    show("no group", own(fd, -0x3FFF_FFF0));
    show("least", own(fd, i32::MIN));
    let group = process::getpgrp().unwrap_or(0) as u32;
    show("group", own(fd, -(group as i32)));
    show("group", file::fcntl(fd, F_GETOWN_EX, told.as_mut_ptr() as usize));
    say!("{} {}", told[0], told[1] == group);
    let thread = [0u32, process::gettid().unwrap_or(0) as u32];
    show("thread", file::fcntl(fd, F_SETOWN_EX, thread.as_ptr() as usize));
    show("thread", file::fcntl(fd, F_GETOWN_EX, told.as_mut_ptr() as usize));
    say!("{}", told == thread);
    show("wrong kind", file::fcntl(fd, F_SETOWN_EX, [3u32, 0].as_ptr() as usize));
    show("not there", file::fcntl(fd, F_SETOWN_EX, [1u32, 0x3FFF_FFF0].as_ptr() as usize));
    show("nobody", file::fcntl(fd, F_SETOWN_EX, [1u32, 0].as_ptr() as usize));
    say!("{:?}", file::fcntl(fd, libc::F_GETOWN, 0));
    let _ = own(fd, me);
    show("uids", file::fcntl(fd, F_GETOWNER_UIDS, told.as_mut_ptr() as usize));
    say!("{}", told == [process::getuid().unwrap_or(1) as u32; 2]);
    show("signal", file::fcntl(fd, F_GETSIG, 0));
    show("wrong signal", file::fcntl(fd, F_SETSIG, 65));
}

fn pipe() {
    let (rx, tx) = file::pipe();
    let me = process::getpid().unwrap_or(0) as i32;
    owners(rx);
    say!("plain:");
    asynchronous(rx, true);
    let _ = file::write(tx, b"x");
    let _ = file::write(tx, b"y");
    say!("with a story:");
    show("signal", file::fcntl(rx, F_SETSIG, 40));
    show("signal", file::fcntl(rx, F_GETSIG, 0));
    let _ = file::write(tx, b"z");
    let _ = file::fcntl(rx, F_SETSIG, libc::SIGCHLD as usize);
    let _ = file::write(tx, b"z");
    let _ = file::fcntl(rx, F_SETSIG, libc::SIGIO as usize);
    let _ = file::write(tx, b"z");
    say!("room to write:");
    let _ = own(tx, me);
    asynchronous(tx, true);
    let _ = file::fcntl(tx, F_SETSIG, 41);
    let _ = file::read(rx, &mut [0; 10]);
    say!("off:");
    asynchronous(tx, false);
    asynchronous(rx, false);
    let _ = file::write(tx, b"x");
    let _ = file::read(rx, &mut [0; 10]);
    say!("the other side goes:");
    asynchronous(rx, true);
    let _ = file::close(tx);
    let _ = file::close(rx);
}

fn socket() {
    let (one, two) = net::pair(libc::SOCK_STREAM);
    let _ = own(one, process::getpid().unwrap_or(0) as i32);
    let _ = file::fcntl(one, F_SETSIG, 42);
    say!("{}", child::run(|| {
        let value = 1i32;
        show("FIOASYNC", file::ioctl(one, libc::FIOASYNC, &raw const value as usize));
        0
    }));
    say!("{:o}", file::fcntl(one, libc::F_GETFL, 0).unwrap_or(0));
    let _ = file::write(two, b"to it");
    let _ = file::read(one, &mut [0; 10]);
}

/// Sockets that end, listen and are asked in their own way; watches.
fn more() {
    let me = process::getpid().unwrap_or(0) as i32;
    let mut told = 0i32;
    let (one, two) = net::pair(libc::SOCK_STREAM);
    show("FIOSETOWN", file::ioctl(one, 0x8901, &raw const me as usize));
    show("SIOCGPGRP", file::ioctl(one, 0x8904, &raw mut told as usize));
    say!("{}", told == me);
    show("SIOCSPGRP", file::ioctl(one, 0x8902, 8));
    show("FIOGETOWN", file::ioctl(one, 0x8903, 8));
    let absent = 0x3FFF_FFF0i32;
    show("not there", file::ioctl(one, 0x8901, &raw const absent as usize));
    let _ = file::fcntl(one, F_SETSIG, 42);
    asynchronous(one, true);
    say!("the other side ends:");
    let _ = file::close(two);
    let _ = file::close(one);
    say!("a watch:");
    let watch = event::inotify_init1(libc::IN_NONBLOCK).unwrap_or(0) as i32;
    let _ = own(watch, me);
    let _ = file::fcntl(watch, F_SETSIG, 41);
    asynchronous(watch, true);
    let dir = crate::scratch::Scratch::enter();
    show("watch", event::inotify_add_watch(watch, c".", libc::IN_CREATE));
    let _ = file::mkdir(c"made", 0o700);
    drop(dir);
}

/// A signal reaches only whom its owner's maker could have sent one.
fn rights() {
    let (rx, tx) = file::pipe();
    let (ready, go) = file::pipe();
    let other = child::start(|| {
        let _ = file::close(ready);
        let _ = process::setresuid(7, 7, 7);
        let _ = own(rx, process::getppid().unwrap_or(1) as i32);
        asynchronous(rx, true);
        let _ = file::write(tx, b"x");
        let _ = file::write(go, b"x");
        0
    });
    let _ = file::close(go);
    let _ = file::read(ready, &mut [0; 1]);
    say!("{}", child::end_of(other));
    let _ = kill(process::getpid().unwrap_or(0) as i32, 0);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for number in [libc::SIGIO, libc::SIGCHLD, 40, 41, 42] {
        let _ = signal::handle(number, note, 0, 0);
    }
    pipe();
    let _ = signal::set(libc::SIGCHLD, signal::SIG_DFL);
    say!("socket:");
    socket();
    more();
    say!("rights:");
    rights();
    0
}
