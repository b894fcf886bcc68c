//! clone(2) with CLONE_FS shares working directory and umask; without it they are copied.
use crate::out::{say, show};
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = file::chdir(c"/");
    for (label, flags) in [("copied", 0), ("shared", libc::CLONE_FS)] {
        let pid = child::start_on_stack(flags | libc::SIGCHLD, || {
            show("chdir", file::chdir(c"/dev"));
            show("umask", file::umask(0o077));
            0
        });
        say!("{label}: {}", child::end_of(pid));
        let mut buf = [0u8; 64];
        let n = file::getcwd(&mut buf).unwrap_or(1);
        say!("cwd {:?}", String::from_utf8_lossy(&buf[..n - 1]));
        say!("umask {:o}", file::umask(0o022).unwrap_or(0));
    }
    0
}
