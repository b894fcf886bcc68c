//! inotify: watches that end, by rm_watch and with what they watch; a blocked reader is woken.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::event::{fd_or_say, inotify_add_watch, inotify_init1, inotify_rm_watch, tell};
use crate::sys::{child, file, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _scratch = Scratch::enter();
    let fd = fd_or_say("inotify", inotify_init1(libc::IN_NONBLOCK));
    let _ = file::mkdir(c"d", 0o755);
    file::make(c"f", b"", 0o644);
    let watch = |path: &CStr| inotify_add_watch(fd, path, libc::IN_ALL_EVENTS).unwrap_or(0);
    let names = [(watch(c"d"), "d"), (watch(c"f"), "f")];
    show("remove", inotify_rm_watch(fd, names[0].0 as i32));
    tell("ignored", fd, &names);
    say!("a new number {}", watch(c"d") != names[0].0);
    let _ = file::rmdir(c"d");
    let _ = file::unlink(c"f");
    tell("removed", fd, &[(3, "d"), (names[1].0, "f")]);
    show("gone", inotify_rm_watch(fd, 3));
    file::make(c"f", b"", 0o644);
    file::make(c"g", b"", 0o644);
    let names = [(watch(c"f"), "f")];
    let _ = file::rename(c"g", c"f");
    tell("replaced", fd, &names);
    let blocking = fd_or_say("inotify", inotify_init1(0));
    let _ = inotify_add_watch(blocking, c".", libc::IN_CREATE);
    let maker = child::start(|| {
        let _ = time::sleep_ms(20);
        file::make(c"later", b"", 0o644);
        0
    });
    say!("woken {:?}", file::read(blocking, &mut [0; 64]));
    say!("{}", child::end_of(maker));
    0
}
