//! inotify: names made and removed in a directory, of every kind.
use crate::scratch::Scratch;
use crate::sys::event::{fd_or_say, inotify_add_watch, inotify_init1, tell};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _scratch = Scratch::enter();
    let fd = fd_or_say("inotify", inotify_init1(libc::IN_NONBLOCK));
    let _ = file::mkdir(c"d", 0o755);
    let dir = inotify_add_watch(fd, c"d", libc::IN_ALL_EVENTS).unwrap_or(0);
    let names = [(dir, "d")];
    let told = |label: &str| tell(label, fd, &names);
    file::make(c"d/new", b"text", 0o644);
    told("made");
    let made = inotify_add_watch(fd, c"d/new", libc::IN_ALL_EVENTS).unwrap_or(0);
    let names = [(dir, "d"), (made, "new")];
    let told = |label: &str| tell(label, fd, &names);
    let _ = file::link(c"d/new", c"d/second");
    told("linked");
    let _ = file::symlink(c"new", c"d/soft");
    let _ = file::mknod(c"d/fifo", libc::S_IFIFO | 0o600, 0);
    let _ = file::mkdir(c"d/sub", 0o755);
    told("others");
    let _ = file::unlink(c"d/second");
    told("one name of two");
    let kept = file::open_or_say(c"d/new", libc::O_RDONLY, 0);
    let _ = file::unlink(c"d/new");
    told("the last name, while open");
    let _ = file::close(kept);
    told("closed");
    let _ = file::unlink(c"d/soft");
    let _ = file::unlink(c"d/fifo");
    let _ = file::rmdir(c"d/sub");
    told("removed");
    file::make(c"d/a name of more than sixteen bytes", b"", 0o644);
    told("long name");
    let _ = file::open(c"d/new", libc::O_CREAT | libc::O_EXCL, 0o600);
    let _ = file::open(c"d/new", libc::O_CREAT | libc::O_EXCL, 0o600);
    let _ = file::mkdir(c"d/new", 0o700);
    told("one of three works");
    0
}
