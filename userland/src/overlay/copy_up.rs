//! What is changed is copied up, whole, with owner, mode, times, attributes; the layer below stays as it was.
use super::{line, names, overlay, prepare};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    prepare();
    let _ = file::mkdir(c"low/d", 0o750);
    let _ = file::chown(c"low/d", 5, 6);
    for name in [c"low/a", c"low/b", c"low/c", c"low/e", c"low/d/f", c"low/g"] {
        file::make(name, b"from below", 0o640);
        let _ = file::chown(name, 7, 8);
    }
    let times = [libc::timespec { tv_sec: 1000, tv_nsec: 1 }, libc::timespec { tv_sec: 2000, tv_nsec: 2 }];
    show("times", file::utimensat(libc::AT_FDCWD, Some(c"low/a"), Some(&times), 0));
    let _ = file::symlink(c"a", c"low/l");
    overlay();
    let mut before = libc::stat::zeroed();
    let _ = file::stat(c"m/a", &mut before);
    say!("{}", line(c"m/a"));
    show("chmod", file::chmod(c"m/a", 0o600));
    let mut after = libc::stat::zeroed();
    let _ = file::stat(c"m/a", &mut after);
    say!("same number {} same device {}", before.st_ino == after.st_ino, before.st_dev == after.st_dev);
    say!("{} {} {} {}", after.st_atime, after.st_atime_nsec, after.st_mtime, after.st_mtime_nsec);
    say!("{} {}", line(c"up/a"), line(c"low/a"));
    let fd = file::open_or_say(c"m/b", libc::O_RDWR | libc::O_APPEND, 0);
    show("append", file::write(fd, b", and more"));
    let _ = file::close(fd);
    say!("{} {}", file::text(c"m/b"), file::text(c"low/b"));
    let fd = file::open_or_say(c"m/c", libc::O_WRONLY | libc::O_TRUNC, 0);
    show("truncated", file::write(fd, b"new"));
    let _ = file::close(fd);
    say!("{} {}", file::text(c"m/c"), line(c"m/c"));
    show("truncate", file::truncate(c"m/e", 4));
    say!("{} {}", file::text(c"m/e"), file::text(c"low/e"));
    show("below a directory", file::chown(c"m/d/f", 9, 10));
    say!("{} {} {}", line(c"up/d"), line(c"up/d/f"), line(c"m/d/f"));
    show("link itself", file::lchown(c"m/l", 3, 4));
    say!("{} {}", line(c"m/l"), line(c"low/l"));
    show("just read", file::access(c"m/g", libc::R_OK));
    say!("{}", file::text(c"m/g"));
    let fd = file::open_or_say(c"m/g", libc::O_RDONLY, 0);
    let _ = file::close(fd);
    say!("up: {}", names(c"up"));
    show("mkdir", file::mkdir(c"m/d/new", 0o755));
    file::make(c"m/d/new/deep", b"deep", 0o644);
    say!("{} {}", names(c"m/d"), names(c"up/d"));
    super::leave();
    0
}
