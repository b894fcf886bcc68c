//! Names and depth: 255-byte names, 200 levels of directories, paths longer than PATH_MAX by steps.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let name = CString::new("n".repeat(100)).unwrap_or_default();
    let mut depth = 0;
    while depth < 60 && file::mkdir(&name, 0o700).is_ok() && file::chdir(&name).is_ok() {
        depth += 1;
    }
    say!("depth {depth}");
    show("getcwd of a path too long", file::getcwd(&mut [0; 4096]).map(|_| 0));
    file::make(c"deep", b"found", 0o600);
    say!("{}", file::text(c"deep"));
    let _ = file::unlink(c"deep");
    while depth > 0 && file::chdir(c"..").is_ok() && file::rmdir(&name).is_ok() {
        depth -= 1;
    }
    say!("back to {depth}");
    let longest = CString::new("x".repeat(255)).unwrap_or_default();
    file::make(&longest, b"255", 0o600);
    say!("{}", file::text(&longest));
    0
}
