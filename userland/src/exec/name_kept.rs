//! `/proc/self/exe` names the program that runs, by its path, also after it was renamed.
use crate::out::{say, show};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut buf = [0u8; 4096];
    let len = file::readlink(super::SELF, &mut buf).unwrap_or(0);
    say!("absolute: {}", buf.first() == Some(&b'/'));
    say!("names behave: {}", buf[..len].ends_with(b"behave"));
    show("short buffer", file::readlink(super::SELF, &mut buf[..3]));
    show("empty buffer", file::readlink(super::SELF, &mut []));
    let fd = file::open_or_say(super::SELF, libc::O_RDONLY, 0);
    let mut magic = [0u8; 4];
    show("its first bytes", file::read(fd, &mut magic));
    say!("{magic:x?}");
    0
}
