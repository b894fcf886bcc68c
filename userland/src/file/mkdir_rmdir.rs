//! mkdir(2), rmdir(2): modes, names with slashes and dots, not empty, busy; link counts.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"", 0o600);
    let _ = file::symlink(c"d", c"l");
    let _ = file::symlink(c"none", c"dangling");
    for (path, mode) in [(c"d", 0o751), (c"d", 0o700), (c"e/", 0o7777), (c"d/e/f", 0o700), (c"f", 0o700), (c"f/x", 0o700), (c".", 0o700), (c"..", 0o700), (c"/", 0o700), (c"d/.", 0o700), (c"d/..", 0o700), (c"", 0o700), (c"dangling", 0o700), (c"l", 0o700), (c"d//x//", 0o700)] {
        show(&format!("mkdir {path:?}"), file::mkdir(path, mode));
    }
    say!("{} / {}", super::show_stat::line(c"d"), super::show_stat::line(c"e"));
    file::make(c"d/file", b"", 0o600);
    for path in [c"d", c"e", c"e", c"f", c"l", c"l/", c".", c"d/.", c"d/x/..", c"..", c"/", c"", c"none", c"d/x/", c"/dev"] {
        show(&format!("rmdir {path:?}"), file::rmdir(path));
    }
    let _ = file::unlink(c"d/file");
    show("emptied", file::rmdir(c"d"));
    let _ = file::mkdir(c"up", 0o700);
    let links = || {
        let mut s = libc::stat::zeroed();
        let _ = file::stat(c"up", &mut s);
        s.st_nlink
    };
    let before = links();
    let _ = file::mkdir(c"up/one", 0o700);
    let _ = file::mkdir(c"up/two", 0o700);
    say!("links {} more", links() - before);
    let _ = file::rmdir(c"up/one");
    say!("links {} more", links() - before);
    0
}
