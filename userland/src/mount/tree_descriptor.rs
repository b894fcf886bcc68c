//! open_tree(2) and mount_setattr(2): a copy of a mount that hangs nowhere, and flags changed by mask.
use super::{alone, mount, show_info};
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::file::{self, fd, mount_setattr, move_mount, open_tree};
use libc::AT_FDCWD;
use std::ffi::CStr;

const CLONE: u32 = 1;
const RECURSIVE: u32 = 0x8000;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    for dir in [c"t", c"u"] {
        let _ = file::mkdir(dir, 0o755);
    }
    show("mount", mount(c"t", c"t", c"tmpfs", 0));
    let _ = file::mkdir(c"t/in", 0o755);
    show("inner", mount(c"in", c"t/in", c"tmpfs", 0));
    file::make(c"t/in/f", b"inner", 0o644);
    show_ok("bad flags", open_tree(AT_FDCWD, c"t", 0x10));
    show_ok("recursive without a copy", open_tree(AT_FDCWD, c"t", RECURSIVE));
    show_ok("missing", open_tree(AT_FDCWD, c"none", CLONE));
    let plain = fd(open_tree(AT_FDCWD, c"t", 0)).unwrap_or(-1);
    show_ok("through it", file::openat(plain, c"in/f", libc::O_RDONLY, 0));
    let copy = fd(open_tree(AT_FDCWD, c"t", CLONE | RECURSIVE)).unwrap_or(-1);
    show_ok("through the copy", file::openat(copy, c"in/f", libc::O_RDONLY, 0));
    show("move", move_mount(copy, c"", AT_FDCWD, c"u", 4));
    say!("{}", file::text(c"u/in/f"));
    show_info("/u");
    show_info("/u/in");
    show("short", mount_setattr(AT_FDCWD, c"u", 0, &[1, 0, 0, 0], 16));
    show("long", mount_setattr(AT_FDCWD, c"u", 0, &[1, 0, 0, 0], 5000));
    show("unknown", mount_setattr(AT_FDCWD, c"u", 0, &[0x8000_0000, 0, 0, 0], 32));
    show("bad flags", mount_setattr(AT_FDCWD, c"u", 1, &[1, 0, 0, 0], 32));
    show("time without its mask", mount_setattr(AT_FDCWD, c"u", 0, &[0x10, 0, 0, 0], 32));
    show("read only", mount_setattr(AT_FDCWD, c"u", 0, &[0x1 | 0x4, 0, 0, 0], 32));
    show_info("/u");
    show_info("/u/in");
    show("all", mount_setattr(AT_FDCWD, c"u", RECURSIVE, &[0x8 | 0x10, 0x4 | 0x70, 0, 0], 32));
    show_info("/u");
    show_info("/u/in");
    show("write", file::mkdir(c"u/d", 0o755));
    show("not a mount", mount_setattr(AT_FDCWD, c"t/in/f", 0, &[1, 0, 0, 0], 32));
    show("shared", mount_setattr(AT_FDCWD, c"u", 0, &[0, 0, libc::MS_SHARED, 0], 32));
    show_info("/u");
    for fd in [plain, copy] {
        let _ = file::close(fd);
    }
    show("detach", file::umount2(c"u", libc::MNT_DETACH));
    show("detach", file::umount2(c"t", libc::MNT_DETACH));
    // One that is closed before it is moved is gone.
    let copy = fd(open_tree(AT_FDCWD, c"/proc", CLONE)).unwrap_or(-1);
    show("close", file::close(copy));
    0
}
