//! Shared mounts: what is mounted on one, or taken from it, is so on its peers and slaves; never the other way from
//! slaves, and never through what is private.
use super::{alone, mount, new, set, show_bind, show_info};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use libc::{MS_MOVE, MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE};
use std::ffi::CStr;

const TREES: [&CStr; 5] = [c"a", c"b", c"c", c"d", c"e"];

/// Prints what is mounted on `x` of each tree, and deeper.
fn shown(label: &str) {
    say!("{label}");
    for tree in ["a", "b", "c", "d", "e"] {
        for below in ["x", "y", "x/in"] {
            show_info(&format!("/{tree}/{below}"));
        }
    }
}

fn away(path: &CStr, flags: i32) {
    show("  umount", file::umount2(path, flags));
}

fn peers() {
    set(c"a", MS_SHARED);
    show_bind(c"a", c"b", 0);
    new(c"a/x");
    shown("on a shared one");
    file::make(c"a/x/f", b"1", 0o644);
    show("  seen through the peer", file::access(c"b/x/f", 0));
    away(c"b/x", 0);
    shown("taken from the peer");
    new(c"b/x");
    let busy = file::open_or_say(c"a/x", libc::O_RDONLY, 0);
    away(c"b/x", 0);
    away(c"b/x", libc::MNT_DETACH);
    let _ = file::close(busy);
    shown("detached");
}

fn slaves() {
    show_bind(c"a", c"c", 0);
    set(c"c", MS_SLAVE);
    new(c"a/x");
    shown("with a slave");
    new(c"c/y");
    shown("on the slave");
    away(c"c/x", 0);
    away(c"a/x", 0);
    shown("the slave was first");
    set(c"c", MS_SHARED);
    show_bind(c"c", c"d", 0);
    new(c"b/x");
    shown("with a slave that is shared");
    away(c"b/x", 0);
    away(c"c/y", 0);
    shown("gone");
}

fn trees() {
    let _ = file::mkdir(c"e/x", 0o755);
    new(c"e/x");
    let _ = file::mkdir(c"e/x/in", 0o755);
    new(c"e/x/in");
    show_bind(c"e/x", c"a/y", MS_REC);
    shown("a tree at once");
    show_info("/b/y/in");
    show_info("/d/y/in");
    away(c"a/y", libc::MNT_DETACH);
    show("  move", mount(c"e/x", c"a/x", c"", MS_MOVE));
    shown("moved onto a shared one");
    show("  move from there", mount(c"a/x", c"e/y", c"", MS_MOVE));
    new(c"e/y");
    set(c"e/y", MS_UNBINDABLE);
    show("  move what can't be bound", mount(c"e/y", c"a/y", c"", MS_MOVE));
    show("  with what it is on", mount(c"e", c"a/y", c"", MS_MOVE));
    away(c"e/y", 0);
    set(c"b", MS_PRIVATE);
    new(c"a/y");
    shown("b is private");
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"top", 0o755);
    show("mount", mount(c"top", c"top", c"tmpfs", 0));
    let _ = file::chdir(c"top");
    for tree in TREES {
        let _ = file::mkdir(tree, 0o755);
    }
    new(c"a");
    new(c"e");
    for place in [c"a/x", c"a/y", c"e/y"] {
        let _ = file::mkdir(place, 0o755);
    }
    peers();
    slaves();
    trees();
    let _ = file::chdir(c"..");
    show("all", file::umount2(c"top", libc::MNT_DETACH));
    0
}
