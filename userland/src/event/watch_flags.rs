//! inotify: IN_ONLYDIR, IN_DONT_FOLLOW, IN_MASK_ADD, IN_MASK_CREATE, IN_ONESHOT, IN_EXCL_UNLINK.
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::event::{fd_or_say, inotify_add_watch, inotify_init1, inotify_rm_watch, tell};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _scratch = Scratch::enter();
    let fd = fd_or_say("inotify", inotify_init1(libc::IN_NONBLOCK));
    let _ = file::mkdir(c"d", 0o755);
    file::make(c"d/f", b"", 0o644);
    let _ = file::symlink(c"d", c"link");
    show("only directories", inotify_add_watch(fd, c"d/f", libc::IN_OPEN | libc::IN_ONLYDIR));
    let link = inotify_add_watch(fd, c"link", libc::IN_ATTRIB | libc::IN_DONT_FOLLOW);
    show("the link", link);
    show("where it leads", inotify_add_watch(fd, c"link", libc::IN_OPEN));
    show("the same", inotify_add_watch(fd, c"d", libc::IN_CREATE | libc::IN_MASK_ADD));
    show("not again", inotify_add_watch(fd, c"d", libc::IN_CREATE | libc::IN_MASK_CREATE));
    show("add and create", inotify_add_watch(fd, c"d", libc::IN_CREATE | libc::IN_MASK_CREATE | libc::IN_MASK_ADD));
    let names = [(2, "d")];
    file::make(c"d/g", b"", 0o644);
    tell("both", fd, &names);
    show("replaced", inotify_add_watch(fd, c"d", libc::IN_DELETE));
    file::make(c"d/h", b"", 0o644);
    let _ = file::unlink(c"d/h");
    tell("only removals", fd, &names);
    show("once", inotify_add_watch(fd, c"d", libc::IN_CREATE | libc::IN_ONESHOT));
    file::make(c"d/i", b"", 0o644);
    file::make(c"d/j", b"", 0o644);
    tell("one", fd, &names);
    show("gone", inotify_rm_watch(fd, 2));
    let f = file::open_or_say(c"d/f", libc::O_RDWR, 0);
    let g = file::open_or_say(c"d/g", libc::O_RDWR, 0);
    show("all", inotify_add_watch(fd, c"d", libc::IN_MODIFY));
    let _ = file::unlink(c"d/f");
    let _ = file::write(f, b"1");
    let _ = file::write(g, b"1");
    tell("of what was removed, too", fd, &[(3, "d")]);
    show("without", inotify_add_watch(fd, c"d", libc::IN_MODIFY | libc::IN_EXCL_UNLINK));
    let _ = file::write(f, b"1");
    let _ = file::write(g, b"1");
    tell("not of what was removed", fd, &[(3, "d")]);
    0
}
