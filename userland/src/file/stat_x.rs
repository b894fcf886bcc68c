//! statx(2): the mask, the basic fields, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, errors.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{self, Plain, file};
use libc::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", &[1; 300], 0o640);
    let _ = file::symlink(c"f", c"l");
    let fd = file::open_or_say(c"f", libc::O_RDONLY, 0);
    for (label, dir, path, flags) in [
        ("path", AT_FDCWD, c"f", 0),
        ("link", AT_FDCWD, c"l", 0),
        ("link itself", AT_FDCWD, c"l", AT_SYMLINK_NOFOLLOW),
        ("descriptor", fd, c"", AT_EMPTY_PATH),
        ("empty", fd, c"", 0),
        ("missing", AT_FDCWD, c"none", 0),
        ("bad flags", AT_FDCWD, c"f", 0x4_0000),
        ("both sync flags", AT_FDCWD, c"f", 0x6000),
        ("bad descriptor", 99, c"f", 0),
    ] {
        let mut out = libc::statx::zeroed();
        show(label, file::statx(dir, path, flags, STATX_BASIC_STATS, &mut out));
        say!("mode {:o} links {} size {} basic {:#x}", out.stx_mode, out.stx_nlink, out.stx_size, out.stx_mask & STATX_BASIC_STATS);
    }
    let (mut x, mut s) = (libc::statx::zeroed(), libc::stat::zeroed());
    let _ = file::statx(fd, c"", AT_EMPTY_PATH, STATX_BASIC_STATS, &mut x);
    let _ = file::fstat(fd, &mut s);
    say!("as fstat: {} {} {}", x.stx_ino == s.st_ino, x.stx_mtime.tv_sec == s.st_mtime, libc::makedev(x.stx_dev_major, x.stx_dev_minor) == s.st_dev);
    show("reserved mask", file::statx(AT_FDCWD, c"f", 0, 0x8000_0000, &mut x));
    // SAFETY: the kernel refuses the address.
    show("null path", unsafe { sys::call(libc::SYS_statx, [fd as usize, 0, 0, 0xfff, (&raw mut x) as usize, 0]) });
    0
}
