//! RENAME_WHITEOUT leaves a device 0:0 behind.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _scratch = Scratch::enter();
    file::make(c"a", b"text", 0o644);
    let rename = |from: &CStr, to: &CStr, flags: u32| file::renameat2(libc::AT_FDCWD, from, libc::AT_FDCWD, to, flags);
    show("with exchange", rename(c"a", c"b", libc::RENAME_WHITEOUT | libc::RENAME_EXCHANGE));
    show("rename", rename(c"a", c"b", libc::RENAME_WHITEOUT));
    let mut stat = libc::stat::zeroed();
    show("stat", file::lstat(c"a", &mut stat));
    say!("mode {:o} device {}", stat.st_mode, stat.st_rdev);
    say!("{}", file::text(c"b"));
    show("onto it", rename(c"b", c"a", libc::RENAME_WHITEOUT));
    say!("{}", file::text(c"a"));
    show("both there", rename(c"a", c"b", libc::RENAME_WHITEOUT | libc::RENAME_NOREPLACE));
    0
}
