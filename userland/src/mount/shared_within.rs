//! Shared mounts in odd places: a tree bound beneath itself, a place that is taken, peers that go and leave slaves.
use super::{alone, info, mount, new, set, show_bind};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file::{self, fd, move_mount, open_tree};
use libc::{AT_FDCWD, MNT_DETACH, MS_MOVE, MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE};
use std::ffi::CStr;

/// `OPEN_TREE_CLONE`, `AT_RECURSIVE`, `MOVE_MOUNT_F_EMPTY_PATH`.
const CLONE: u32 = 1;
const RECURSIVE: u32 = 0x8000;
const EMPTY_FROM: u32 = 4;

fn shown(label: &str, paths: &[&str]) {
    say!("{label}");
    for path in paths {
        // Which of two at one place is listed first depends on how they came there.
        let mut lines = info(path);
        lines.sort();
        for line in lines {
            say!("  {line}");
        }
    }
}

/// What a tree is bound onto isn't in the copy, though that has a peer of it.
fn beneath_itself() {
    const PATHS: [&str; 5] = ["/a", "/a/x", "/a/x/y", "/a/x/y/x", "/a/x/y/x/y"];
    let _ = file::mkdir(c"a/x", 0o755);
    show_bind(c"a", c"a", 0);
    set(c"a", MS_SHARED);
    new(c"a/x");
    let _ = file::mkdir(c"a/x/y", 0o755);
    show_bind(c"a", c"a/x/y", MS_REC);
    shown("beneath itself", &PATHS);
    // This comes to be beneath the tree as well, which stays in sight.
    new(c"a/x/y/x/y");
    shown("and deeper", &PATHS);
    show("  umount", file::umount2(c"a/x/y", MNT_DETACH));
    shown("taken away", &PATHS);
    show("  umount", file::umount2(c"a", MNT_DETACH));
    // The same by a copy that hung nowhere.
    show_bind(c"a", c"a", 0);
    set(c"a", MS_SHARED);
    new(c"a/x");
    let _ = file::mkdir(c"a/x/y", 0o755);
    let copy = fd(open_tree(AT_FDCWD, c"a", CLONE | RECURSIVE)).unwrap_or(-1);
    show("  move", move_mount(copy, c"", AT_FDCWD, c"a/x/y", EMPTY_FROM));
    let _ = file::close(copy);
    shown("by descriptor", &PATHS);
    show("  umount", file::umount2(c"a", MNT_DETACH));
}

/// What was there covers what comes from a peer, and is left when that goes.
fn covered() {
    const PATHS: [&str; 2] = ["/b/x", "/c/x"];
    let _ = file::mkdir(c"b/x", 0o755);
    show_bind(c"b", c"b", 0);
    set(c"b", MS_SHARED);
    show_bind(c"b", c"c", 0);
    set(c"c", MS_SLAVE);
    new(c"c/x");
    file::make(c"c/x/own", b"1", 0o644);
    new(c"b/x");
    shown("covered", &PATHS);
    show("  the slave's own", file::access(c"c/x/own", 0));
    show("  umount", file::umount2(c"b/x", 0));
    shown("gone beneath", &PATHS);
    show("  the slave's own", file::access(c"c/x/own", 0));
    show("  umount", file::umount2(c"c/x", 0));
}

/// Slaves of a group that ends receive from where it did.
fn handed_over() {
    show_bind(c"c", c"d", 0);
    set(c"c", MS_SHARED);
    show_bind(c"c", c"e", 0);
    set(c"e", MS_SLAVE);
    shown("a chain", &["/c", "/e"]);
    set(c"c", MS_PRIVATE);
    shown("its middle left", &["/c", "/e"]);
    new(c"b/x");
    shown("past it", &["/b/x", "/c/x", "/e/x"]);
}

/// How many mounts there are.
fn count(label: &str, before: usize) {
    say!("{label}: {}", info("").len() - before);
}

/// A tree moved to where its own parts receive copies of it: as it was before any of these came.
fn onto_its_own_peers() {
    let before = info("").len();
    for dir in [c"p", c"t"] {
        let _ = file::mkdir(dir, 0o755);
        new(dir);
    }
    set(c"p", MS_SHARED);
    let _ = file::mkdir(c"p/x", 0o755);
    for place in [c"t/1", c"t/2", c"t/3"] {
        let _ = file::mkdir(place, 0o755);
        show_bind(c"p", place, 0);
    }
    count("to be moved", before);
    show("  move", mount(c"t", c"p/x", c"", MS_MOVE));
    count("moved", before);
    shown("its parts", &["/p/x", "/p/x/1", "/p/x/1/x", "/p/x/2/x", "/p/x/3/x/3"]);
    show("  umount", file::umount2(c"p/x", MNT_DETACH));
    count("taken away", before);
    show("  umount", file::umount2(c"p", MNT_DETACH));
    count("all of it", before);
}

/// What covers the copy at one peer of a slave isn't copied to the other.
fn covered_at_peers() {
    const PATHS: [&str; 3] = ["/m/x", "/s/x", "/q/x"];
    let before = info("").len();
    for dir in [c"m", c"s", c"q"] {
        let _ = file::mkdir(dir, 0o755);
    }
    new(c"m");
    let _ = file::mkdir(c"m/x", 0o755);
    set(c"m", MS_SHARED);
    show_bind(c"m", c"s", 0);
    set(c"s", MS_SLAVE);
    set(c"s", MS_SHARED);
    show_bind(c"s", c"q", 0);
    new(c"s/x");
    file::make(c"s/x/own", b"1", 0o644);
    shown("on the slaves", &PATHS);
    new(c"m/x");
    shown("covered at both", &PATHS);
    show("  the slaves' own", file::access(c"q/x/own", 0));
    count("mounts", before);
    show("  umount", file::umount2(c"m/x", 0));
    shown("gone beneath both", &PATHS);
    show("  the slaves' own", file::access(c"q/x/own", 0));
    for path in [c"q", c"s", c"m"] {
        show("  umount", file::umount2(path, MNT_DETACH));
    }
    count("all of it", before);
}

/// Stacked on a peer each, taken with what they are in.
fn detached_with_peers() {
    const PATHS: [&str; 4] = ["/m/x", "/m/y/x", "/m/z/x", "/n/x"];
    let before = info("").len();
    let _ = file::mkdir(c"n", 0o755);
    new(c"m");
    for dir in [c"m/y", c"m/z"] {
        let _ = file::mkdir(dir, 0o755);
    }
    new(c"n");
    let _ = file::mkdir(c"n/x", 0o755);
    set(c"n", MS_SHARED);
    show_bind(c"n", c"m/y", 0);
    show_bind(c"n", c"m/z", 0);
    new(c"n/x");
    let _ = file::mkdir(c"n/x/in", 0o755);
    new(c"m/y/x/in");
    new(c"m/z/x");
    shown("three peers", &PATHS);
    count("mounts", before);
    show("  umount", file::umount2(c"m", MNT_DETACH));
    shown("two of them taken", &PATHS);
    count("mounts", before);
    show("  umount", file::umount2(c"n", MNT_DETACH));
    count("all of it", before);
}

/// What is on a copy that goes, and only covers it, keeps nothing; what is on it elsewhere keeps it, and what it is on.
fn kept_by_covers() {
    const PATHS: [&str; 6] = ["/m/x", "/m/x/in", "/n/x", "/n/x/in", "/o/x", "/o/x/in"];
    let before = info("").len();
    let _ = file::mkdir(c"o", 0o755);
    new(c"m");
    let _ = file::mkdir(c"m/x", 0o755);
    set(c"m", MS_SHARED);
    show_bind(c"m", c"n", 0);
    show_bind(c"m", c"o", 0);
    new(c"m/x");
    let _ = file::mkdir(c"m/x/in", 0o755);
    new(c"m/x/in");
    // One copy's inside is covered; another copy has something elsewhere.
    set(c"n/x/in", MS_PRIVATE);
    new(c"n/x/in");
    set(c"o/x", MS_PRIVATE);
    let _ = file::mkdir(c"o/x/more", 0o755);
    new(c"o/x/more");
    shown("three trees", &PATHS);
    count("mounts", before);
    show("  umount", file::umount2(c"m/x", MNT_DETACH));
    shown("what is kept", &PATHS);
    count("mounts", before);
    for path in [c"o", c"n", c"m"] {
        show("  umount", file::umount2(path, MNT_DETACH));
    }
    count("all of it", before);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"top", 0o755);
    show("mount", mount(c"top", c"top", c"tmpfs", 0));
    let _ = file::chdir(c"top");
    for tree in [c"a", c"b", c"c", c"d", c"e"] {
        let _ = file::mkdir(tree, 0o755);
    }
    beneath_itself();
    covered();
    handed_over();
    onto_its_own_peers();
    covered_at_peers();
    detached_with_peers();
    kept_by_covers();
    let _ = file::chdir(c"..");
    show("all", file::umount2(c"top", MNT_DETACH));
    0
}
