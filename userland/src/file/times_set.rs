//! utimensat(2): set, UTIME_NOW, UTIME_OMIT, null, of links, errors and rights.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, child, file, process, time::spec};
use libc::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, UTIME_NOW, UTIME_OMIT};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"", 0o666);
    let _ = file::symlink(c"f", c"l");
    let set = |label: &str, path: &CStr, a, m, flags| {
        show(label, file::utimensat(AT_FDCWD, Some(path), Some(&[a, m]), flags));
        tell(path);
    };
    set("both", c"f", spec(1_000_000, 5), spec(2_000_000, 999_999_999), 0);
    set("omit atime", c"f", spec(0, UTIME_OMIT), spec(3_000_000, 7), 0);
    set("omit both", c"f", spec(0, UTIME_OMIT), spec(0, UTIME_OMIT), 0);
    set("before 1970", c"f", spec(-5, 1), spec(-1, 0), 0);
    set("through the link", c"l", spec(4_000_000, 0), spec(5_000_000, 0), 0);
    set("the link", c"l", spec(6_000_000, 0), spec(7_000_000, 0), AT_SYMLINK_NOFOLLOW);
    tell(c"f");
    set("bad nanoseconds", c"f", spec(0, 1_000_000_000), spec(0, 0), 0);
    set("missing", c"none", spec(0, 0), spec(0, 0), 0);
    set("bad flag", c"f", spec(0, 0), spec(0, 0), 0x80);
    show("now", file::utimensat(AT_FDCWD, Some(c"f"), Some(&[spec(0, UTIME_NOW), spec(0, UTIME_NOW)]), 0));
    recent(c"f");
    show("null times", file::utimensat(AT_FDCWD, Some(c"f"), None, 0));
    recent(c"f");
    let fd = file::open_or_say(c"f", libc::O_RDONLY, 0);
    show("descriptor", file::utimensat(fd, None, Some(&[spec(8, 0), spec(9, 0)]), 0));
    tell(c"f");
    let _ = file::chmod(c".", 0o755);
    say!("another user {}", child::run(|| {
        let _ = process::setresuid(7, 7, 7);
        let _ = process::getuid().map(|u| say!("as user: {}", u == 7));
        0
    }));
    0
}

fn tell(path: &CStr) {
    let mut s = libc::stat::zeroed();
    let _ = file::lstat(path, &mut s);
    if s.st_mode & libc::S_IFMT == libc::S_IFLNK {
        // Reading the link on the way may have moved its own atime.
        say!("  mtime {} {}", if s.st_mtime < 10_000_000 { s.st_mtime } else { -1 }, s.st_mtime_nsec * i64::from(s.st_mtime < 10_000_000));
        return;
    }
    say!("  atime {} {} mtime {} {}", s.st_atime, s.st_atime_nsec, s.st_mtime, s.st_mtime_nsec);
}

fn recent(path: &CStr) {
    let mut s = libc::stat::zeroed();
    let _ = file::stat(path, &mut s);
    let now = crate::sys::time::now(libc::CLOCK_REALTIME) / 1_000_000_000;
    say!("  now: {} {}", (now - s.st_atime).abs() < 3, (now - s.st_mtime).abs() < 3);
}
