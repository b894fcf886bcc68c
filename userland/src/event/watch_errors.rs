//! What the inotify calls refuse, and the file itself.
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::event::{fd_or_say, inotify_add_watch, inotify_init1, inotify_rm_watch};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _scratch = Scratch::enter();
    show("flags", inotify_init1(1));
    show_ok("known flags", inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK));
    let fd = fd_or_say("inotify", inotify_init1(libc::IN_NONBLOCK));
    show("no mask", inotify_add_watch(fd, c".", 0));
    show("unknown bits", inotify_add_watch(fd, c".", 0x0010_0000));
    show("unknown and known", inotify_add_watch(fd, c".", 0x0010_0002));
    show("flags only", inotify_add_watch(fd, c".", libc::IN_ONLYDIR));
    show("no mask, closed", inotify_add_watch(99, c".", 0));
    show("closed", inotify_add_watch(99, c".", libc::IN_OPEN));
    show("other file", inotify_add_watch(0, c".", libc::IN_OPEN));
    show("missing", inotify_add_watch(fd, c"missing", libc::IN_OPEN));
    show("empty", inotify_add_watch(fd, c"", libc::IN_OPEN));
    show("not a directory", inotify_add_watch(fd, c"/dev/null/x", libc::IN_OPEN));
    show("no such watch", inotify_rm_watch(fd, 99));
    show("negative watch", inotify_rm_watch(fd, -1));
    show("remove closed", inotify_rm_watch(99, 1));
    show("remove other", inotify_rm_watch(0, 1));
    show("empty read", file::read(fd, &mut [0; 100]));
    show("write", file::write(fd, b"x"));
    show("seek", file::lseek(fd, 0, libc::SEEK_SET));
    let mut waiting = -1i32;
    show("FIONREAD", file::ioctl(fd, libc::FIONREAD, (&raw mut waiting) as usize));
    say!("{waiting}");
    show_ok("watch", inotify_add_watch(fd, c".", libc::IN_CREATE));
    file::make(c"f", b"", 0o644);
    show("FIONREAD", file::ioctl(fd, libc::FIONREAD, (&raw mut waiting) as usize));
    say!("{waiting}");
    show("too small", file::read(fd, &mut [0; 31]));
    show("just enough", file::read(fd, &mut [0; 32]));
    let mut fds = [libc::pollfd { fd, events: -1, revents: 0 }];
    say!("{:?} {:#x}", file::poll(&mut fds, 0), fds[0].revents);
    file::make(c"g", b"", 0o644);
    say!("{:?} {:#x}", file::poll(&mut fds, 0), fds[0].revents);
    0
}
