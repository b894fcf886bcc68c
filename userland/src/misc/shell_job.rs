//! What a shell does for `a | b > file; wait`: groups, pipes, redirections, statuses.
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let (rx, tx) = file::pipe();
    let first = child::start(|| {
        let _ = process::setpgid(0, 0);
        let _ = file::dup2(tx, 1);
        let _ = file::close_range(3, u32::MAX, 0);
        let _ = process::execve(crate::exec::SELF, &[c"b", c"--helper", c"fill", c"64", c"65"], &[]);
        127
    });
    let _ = process::setpgid(first, first);
    let second = child::start(|| {
        let _ = process::setpgid(0, first);
        let _ = file::dup2(rx, 0);
        let out = file::open_or_say(c"out", libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC, 0o644);
        let _ = file::dup2(out, 1);
        let _ = file::close_range(3, u32::MAX, 0);
        let _ = process::execve(crate::exec::SELF, &[c"b", c"--helper", c"drain"], &[]);
        127
    });
    let _ = process::setpgid(second, first);
    let _ = file::close(rx);
    let _ = file::close(tx);
    let mut ends = [String::new(), String::new()];
    for _ in 0..2 {
        let mut status = 0;
        if let Ok(pid) = process::wait4(-first, Some(&mut status), 0, None) {
            ends[usize::from(pid as i32 == second)] = child::Status(status).to_string();
        }
    }
    say!("{ends:?} {}", file::text(c"out"));
    0
}
