//! inotify: renames within, out of, into and between directories, replacing and exchanging.
use crate::scratch::Scratch;
use crate::sys::event::{fd_or_say, inotify_add_watch, inotify_init1, tell};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _scratch = Scratch::enter();
    let fd = fd_or_say("inotify", inotify_init1(libc::IN_NONBLOCK));
    let _ = file::mkdir(c"a", 0o755);
    let _ = file::mkdir(c"b", 0o755);
    file::make(c"a/f", b"1", 0o644);
    file::make(c"a/g", b"2", 0o644);
    let _ = file::mkdir(c"a/sub", 0o755);
    let watch = |path: &CStr| inotify_add_watch(fd, path, libc::IN_ALL_EVENTS).unwrap_or(0);
    let names = [
        (watch(c"a"), "a"),
        (watch(c"b"), "b"),
        (watch(c"a/f"), "f"),
        (watch(c"a/g"), "g"),
        (watch(c"a/sub"), "sub"),
    ];
    let told = |label: &str| tell(label, fd, &names);
    let _ = file::rename(c"a/f", c"a/h");
    told("within");
    let _ = file::rename(c"a/h", c"b/h");
    told("between");
    let _ = file::rename(c"b/h", c"outside");
    told("out");
    let _ = file::rename(c"outside", c"b/back");
    told("in");
    let _ = file::rename(c"b/back", c"a/g");
    told("replacing");
    let _ = file::rename(c"a/sub", c"b/sub");
    told("a directory");
    let _ = file::renameat2(libc::AT_FDCWD, c"a/g", libc::AT_FDCWD, c"b/sub", libc::RENAME_EXCHANGE);
    told("exchanged");
    let _ = file::rename(c"a/sub", c"a/sub");
    let _ = file::link(c"b/sub", c"b/other");
    told("linked");
    let _ = file::rename(c"b/sub", c"b/other");
    told("onto itself");
    0
}
