//! What signalfd4(2) refuses.
use crate::out::{show, show_ok};
use crate::sys::event::{fd_or_say, signalfd4};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let set = 0x0200u64;
    show("size", signalfd4(-1, Some(&set), 4, 0));
    show("null", signalfd4(-1, None, 8, 0));
    show("flags", signalfd4(-1, Some(&set), 8, 1));
    show("null before flags", signalfd4(-1, None, 8, 1));
    show("closed", signalfd4(99, Some(&set), 8, 0));
    show("other file", signalfd4(0, Some(&set), 8, 0));
    show("-2", signalfd4(-2, Some(&set), 8, 0));
    show_ok("kill and stop", signalfd4(-1, Some(&u64::MAX), 8, 0));
    let fd = fd_or_say("signalfd", signalfd4(-1, Some(&set), 8, libc::SFD_CLOEXEC));
    show("flag", file::fcntl(fd, libc::F_GETFD, 0));
    show("flags", file::fcntl(fd, libc::F_GETFL, 0));
    show("write", file::write(fd, b"12345678"));
    show("seek", file::lseek(fd, 0, libc::SEEK_SET));
    0
}
