//! What is removed leaves a whiteout; what is made anew in its place hides what was below.
use super::{line, names, overlay, prepare};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    prepare();
    for dir in [c"low/d", c"low/e", c"low/full", c"up/both", c"low/both"] {
        let _ = file::mkdir(dir, 0o755);
    }
    for name in [c"low/a", c"low/b", c"low/d/x", c"low/full/x", c"up/b", c"up/only", c"low/both/l", c"up/both/u"] {
        file::make(name, name.to_bytes(), 0o644);
    }
    overlay();
    say!("{}", names(c"m"));
    show("a", file::unlink(c"m/a"));
    show("a again", file::unlink(c"m/a"));
    show("b", file::unlink(c"m/b"));
    show("only", file::unlink(c"m/only"));
    say!("m: {}", names(c"m"));
    say!("up: {}", names(c"up"));
    say!("{} {} {}", line(c"up/a"), line(c"up/b"), line(c"up/only"));
    show("not empty", file::rmdir(c"m/full"));
    show("x", file::unlink(c"m/full/x"));
    show("empty now", file::rmdir(c"m/full"));
    say!("{} {}", line(c"up/full"), line(c"m/full"));
    show("e", file::rmdir(c"m/e"));
    show("e anew", file::mkdir(c"m/e", 0o700));
    file::make(c"m/e/in", b"new", 0o644);
    show("d/x", file::unlink(c"m/d/x"));
    show("d", file::rmdir(c"m/d"));
    show("d anew", file::mkdir(c"m/d", 0o711));
    say!("{:?} {}", names(c"m/d"), line(c"m/d"));
    show("both not empty", file::rmdir(c"m/both"));
    show("l", file::unlink(c"m/both/l"));
    show("u", file::unlink(c"m/both/u"));
    show("both", file::rmdir(c"m/both"));
    file::make(c"m/a", b"anew", 0o600);
    say!("{} {}", file::text(c"m/a"), file::text(c"low/a"));
    show("link in its place", file::symlink(c"a", c"m/b"));
    say!("{}", file::text(c"m/b"));
    show("a whiteout by hand", file::mknod(c"m/w", libc::S_IFCHR, 0));
    show("fifo", file::mknod(c"m/p", libc::S_IFIFO | 0o600, 0));
    say!("m: {}", names(c"m"));
    say!("low: {}", names(c"low"));
    let mut value = [0; 10];
    let opaque = file::getxattr(c"up/d", c"trusted.overlay.opaque", &mut value);
    say!("{opaque:?} {:?}", String::from_utf8_lossy(&value[..1]));
    say!("{:?}", file::getxattr(c"m/d", c"trusted.overlay.opaque", &mut value));
    show("umount", file::umount2(c"m", 0));
    overlay();
    say!("m: {}", names(c"m"));
    say!("{:?} {:?} {}", names(c"m/d"), names(c"m/e"), file::text(c"m/a"));
    super::leave();
    0
}
