//! inotify: IN_UNMOUNT when the file system goes.
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::event::{fd_or_say, inotify_add_watch, inotify_init1, inotify_rm_watch, tell};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _scratch = Scratch::enter();
    let _ = file::mkdir(c"m", 0o755);
    show("mount", file::mount(c"none", c"m", c"tmpfs", 0, None));
    file::make(c"m/f", b"", 0o644);
    let fd = fd_or_say("inotify", inotify_init1(libc::IN_NONBLOCK));
    let own = inotify_add_watch(fd, c"m/f", libc::IN_ALL_EVENTS).unwrap_or(0);
    show("unmount", file::umount2(c"m", 0));
    tell("told", fd, &[(own, "f")]);
    show("gone", inotify_rm_watch(fd, own as i32));
    0
}
