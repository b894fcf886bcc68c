//! pivot_root(2): its rules, and the old root beneath the new one.
use super::{alone, mount};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use libc::MS_BIND;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let dir = Scratch::enter();
    for path in [c"new", c"plain"] {
        let _ = file::mkdir(path, 0o755);
    }
    file::make(c"file", b"old", 0o644);
    show("mount", mount(c"new", c"new", c"tmpfs", 0));
    let _ = file::mkdir(c"new/old", 0o755);
    let _ = file::mkdir(c"new/sub", 0o755);
    file::make(c"new/file", b"new", 0o644);
    // EBUSY where it lies on the root's own mount, EINVAL where /tmp is another.
    let refused = file::pivot_root(c"plain", c"plain");
    say!("not a mount: {}", refused.is_err_and(|e| [libc::EBUSY, libc::EINVAL].contains(&e.0)));
    show("old not beneath new", file::pivot_root(c"new", c"plain"));
    show("new is the root", file::pivot_root(c"/", c"new"));
    show("a file", file::pivot_root(c"new", c"new/file"));
    show("missing", file::pivot_root(c"none", c"new"));
    show("a part of a mount", file::pivot_root(c"new/sub", c"new/sub"));
    say!("{}", child::run(|| {
        let _ = process::setresuid(1000, 1000, 1000);
        show("by a user", file::pivot_root(c"none", c"none"));
        0
    }));
    show("in the new root", file::chdir(c"new"));
    show("pivot", file::pivot_root(c".", c"old"));
    say!("{} {}", file::text(c"/file"), file::text(c"file"));
    let old = std::ffi::CString::new(format!("/old{}/file", dir.path())).unwrap_or_default();
    say!("{}", file::text(&old));
    let mut buf = [0; 100];
    let n = file::getcwd(&mut buf).unwrap_or(1);
    say!("cwd {:?}", String::from_utf8_lossy(&buf[..n - 1]));
    show("put back", file::pivot_root(c"/old", std::ffi::CString::new(format!("/old{}/new", dir.path())).unwrap_or_default().as_c_str()));
    say!("{} {}", file::text(c"/file"), file::text(c"file"));
    let _ = file::chdir(c"/");
    let place = std::ffi::CString::new(format!("{}/new", dir.path())).unwrap_or_default();
    show("bound", mount(c"/proc", &place, c"", MS_BIND));
    show("detach", file::umount2(&place, libc::MNT_DETACH));
    show("detach", file::umount2(&place, libc::MNT_DETACH));
    0
}
