//! rename(2) of directories: over empty ones, with content, `..` follows, link counts.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    for path in [c"a", c"a/in", c"b", c"c", c"c/full"] {
        let _ = file::mkdir(path, 0o700);
    }
    file::make(c"a/in/f", b"deep", 0o600);
    let ino = |path: &CStr| {
        let mut s = libc::stat::zeroed();
        file::stat(path, &mut s).map(|_| s.st_ino)
    };
    let parent_a = ino(c"a");
    say!("up is a: {}", ino(c"a/in/..") == parent_a);
    show("over a full one", file::rename(c"a", c"c"));
    show("over an empty one", file::rename(c"a", c"b"));
    say!("{}", file::text(c"b/in/f"));
    show("deeper", file::rename(c"b/in", c"c/full/in"));
    say!("{}", file::text(c"c/full/in/f"));
    say!("up is c/full: {}", ino(c"c/full/in/..") == ino(c"c/full"));
    let fd = file::open_or_say(c"c/full/in", libc::O_RDONLY | libc::O_DIRECTORY, 0);
    show("the whole branch", file::rename(c"c", c"moved"));
    show("an open directory follows", file::openat(fd, c"f", libc::O_RDONLY, 0).map(|_| 0));
    say!("up from it: {}", file::fchdir(fd).and_then(|_| file::chdir(c"../..")).is_ok());
    say!("{}", file::text(c"full/in/f"));
    0
}
