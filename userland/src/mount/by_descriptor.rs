//! fsopen(2), fsconfig(2), fsmount(2), move_mount(2), fspick(2): a mount step by step, and errors.
use super::{alone, show_info};
use crate::out::{show, show_ok};
use crate::scratch::Scratch;
use crate::sys::file::{self, fd, fsconfig, fsmount, fsopen, fspick, move_mount};
use libc::AT_FDCWD;
use std::ffi::CStr;

const SET_FLAG: u32 = 0;
const SET_STRING: u32 = 1;
const CREATE: u32 = 6;
const RECONFIGURE: u32 = 7;
const EMPTY_FROM: u32 = 4;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"t", 0o755);
    show_ok("no such type", fsopen(c"nosuchfs", 0));
    show_ok("bad flags", fsopen(c"tmpfs", 0x10));
    let context = fd(fsopen(c"tmpfs", 1)).unwrap_or(-1);
    show("source", fsconfig(context, SET_STRING, Some(c"source"), Some(c"mine"), 0));
    show("source again", fsconfig(context, SET_STRING, Some(c"source"), Some(c"other"), 0));
    show("size", fsconfig(context, SET_STRING, Some(c"size"), Some(c"1m"), 0));
    show("mode", fsconfig(context, SET_STRING, Some(c"mode"), Some(c"711"), 0));
    show("bad value", fsconfig(context, SET_STRING, Some(c"mode"), Some(c"x"), 0));
    show("unknown", fsconfig(context, SET_STRING, Some(c"nonsense"), Some(c"1"), 0));
    show("unknown flag", fsconfig(context, SET_FLAG, Some(c"nonsense"), None, 0));
    show("flag with a value", fsconfig(context, SET_FLAG, Some(c"ro"), Some(c"1"), 0));
    show("string without", fsconfig(context, SET_STRING, Some(c"size"), None, 0));
    show("no such command", fsconfig(context, 99, None, None, 0));
    show("negative", fsconfig(-1, CREATE, None, None, 0));
    show("not open", fsconfig(99, CREATE, None, None, 0));
    show("not one", fsconfig(1, CREATE, None, None, 0));
    show_ok("mount too early", fsmount(context, 0, 0));
    show("reconfigure", fsconfig(context, RECONFIGURE, None, None, 0));
    show("create", fsconfig(context, CREATE, None, None, 0));
    show("create again", fsconfig(context, CREATE, None, None, 0));
    show("too late", fsconfig(context, SET_STRING, Some(c"size"), Some(c"2m"), 0));
    show_ok("bad attributes", fsmount(context, 0, 0x8000_0000));
    let mount = fd(fsmount(context, 1, 0x2)).unwrap_or(-1);
    show_ok("twice", fsmount(context, 0, 0));
    let inside = fd(file::openat(mount, c"f", libc::O_CREAT | libc::O_RDWR, 0o644)).unwrap_or(-1);
    show("write", file::write(inside, b"made"));
    let _ = file::close(inside);
    show_info("/t");
    show("bad move", move_mount(mount, c"", AT_FDCWD, c"t", 0x8000));
    show("move without a path", move_mount(mount, c"", AT_FDCWD, c"t", 0));
    show("move", move_mount(mount, c"", AT_FDCWD, c"t", EMPTY_FROM));
    show_info("/t");
    crate::out::say!("{}", file::text(c"t/f"));
    show_ok("pick a file", fspick(AT_FDCWD, c"t/f", 0));
    show_ok("pick flags", fspick(AT_FDCWD, c"t", 0x100));
    let picked = fd(fspick(AT_FDCWD, c"t", 1)).unwrap_or(-1);
    show("create of a picked", fsconfig(picked, CREATE, None, None, 0));
    let picked = fd(fspick(AT_FDCWD, c"t", 1)).unwrap_or(picked);
    show("size", fsconfig(picked, SET_STRING, Some(c"size"), Some(c"2m"), 0));
    show("reconfigure", fsconfig(picked, RECONFIGURE, None, None, 0));
    show_info("/t");
    let _ = file::close(mount);
    show("umount", file::umount2(c"t", libc::MNT_DETACH));
    0
}
