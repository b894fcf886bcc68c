//! statfs(2), fstatfs(2): sane numbers, name length 255; procfs and errors.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let mut s = libc::statfs::zeroed();
    show("statfs", file::statfs(c".", &mut s));
    say!("name length {} blocks add up {} {}", s.f_namelen, s.f_bfree <= s.f_blocks, s.f_bavail <= s.f_bfree);
    say!("block size fine {}", s.f_bsize >= 512 && s.f_bsize.count_ones() == 1);
    show("fstatfs", file::fstatfs(file::open_or_say(c".", libc::O_RDONLY, 0), &mut s));
    show("/proc", file::statfs(c"/proc", &mut s));
    say!("procfs {:#x}", s.f_type);
    let (rx, _) = file::pipe();
    show("pipe", file::fstatfs(rx, &mut s));
    say!("pipefs {:#x}", s.f_type);
    show("missing", file::statfs(c"none", &mut s));
    show("closed", file::fstatfs(99, &mut s));
    0
}
