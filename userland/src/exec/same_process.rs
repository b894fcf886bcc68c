//! execve(2) keeps PID, working directory, umask and open offsets, and the parent's wait.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    say!("{}", child::run(|| {
        let pid = process::getpid().unwrap_or(0);
        let text = CString::new(pid.to_string()).unwrap_or_default();
        show("exec", process::execve(super::SELF, &[c"b", c"--helper", c"pid", &text], &[]));
        1
    }));
    file::make(c"input", b"first line\nsecond line\n", 0o600);
    let fd = file::open_or_say(c"input", libc::O_RDONLY, 0);
    let _ = file::read(fd, &mut [0; 11]);
    say!("{}", child::run(|| {
        let _ = file::dup2(fd, 0);
        show("exec", process::execve(super::SELF, &[c"b", c"--helper", c"cat"], &[]));
        1
    }));
    show("offset moved with the child's", file::lseek(fd, 0, libc::SEEK_CUR));
    0
}
