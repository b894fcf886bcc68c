//! /proc/self is this process's directory; its cwd, root and fd links say what they should.
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::{file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let dir = Scratch::enter();
    let link = |path: &CStr| {
        let mut buf = [0; 500];
        match file::readlink(path, &mut buf) {
            Ok(n) => String::from_utf8_lossy(&buf[..n]).replace(dir.path(), "DIR"),
            Err(errno) => errno.to_string(),
        }
    };
    say!("self is the pid: {}", link(c"/proc/self") == process::getpid().unwrap_or(0).to_string());
    say!("cwd {}", link(c"/proc/self/cwd"));
    say!("root {}", link(c"/proc/self/root"));
    let _ = file::open(c"/dev/null", libc::O_RDONLY, 0);
    file::make(c"f", b"", 0o600);
    let _ = file::open(c"f", libc::O_RDONLY, 0);
    say!("fd 3 {}", link(c"/proc/self/fd/3"));
    say!("fd 4 {}", link(c"/proc/self/fd/4"));
    say!("fd 99 {}", link(c"/proc/self/fd/99"));
    let _ = file::rename(c"f", c"renamed");
    say!("fd 4 {}", link(c"/proc/self/fd/4"));
    let _ = file::unlink(c"renamed");
    say!("fd 4 {}", link(c"/proc/self/fd/4"));
    0
}
