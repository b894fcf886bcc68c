//! ELOOP: links to themselves, to each other, and chains of more than 40 (path_resolution(7)).
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = file::symlink(c"self", c"self");
    let _ = file::symlink(c"two", c"one");
    let _ = file::symlink(c"one", c"two");
    let _ = file::symlink(c"self/x", c"into");
    for path in [c"self", c"one", c"two/x", c"into"] {
        show(&format!("{path:?}"), file::open(path, libc::O_RDONLY, 0));
        show("chdir", file::chdir(path));
        show("mkdir", file::mkdir(path, 0o700));
    }
    file::make(c"l0", b"end", 0o600);
    for i in 1..=45 {
        let name = |i: i32| CString::new(format!("l{i}")).unwrap_or_default();
        let _ = file::symlink(&name(i - 1), &name(i));
        if i >= 38 {
            show(&format!("chain of {i}"), file::access(&name(i), libc::F_OK));
        }
    }
    let _ = file::mkdir(c"d", 0o700);
    let _ = file::symlink(c".", c"d/here");
    let deep = |n: usize| CString::new(format!("d/{}", "here/".repeat(n))).unwrap_or_default();
    show("40 links on the way", file::access(&deep(40), libc::F_OK));
    show("41 links on the way", file::access(&deep(41), libc::F_OK));
    0
}
