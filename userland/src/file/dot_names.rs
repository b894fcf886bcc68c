//! Every directory has `.` and `..`; the root is its own parent; names with dots are plain names.
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"d", 0o700);
    let id = |path: &CStr| {
        let mut s = libc::stat::zeroed();
        file::stat(path, &mut s).map(|_| (s.st_dev, s.st_ino))
    };
    say!("d/. is d: {}", id(c"d/.") == id(c"d"));
    say!("d/.. is .: {}", id(c"d/..") == id(c"."));
    say!("/.. is /: {}", id(c"/..") == id(c"/"));
    for name in [c"...", c".x", c"..y", c"x."] {
        file::make(name, b"", 0o600);
        say!("{name:?} {}", super::show_stat::line(name));
    }
    0
}
