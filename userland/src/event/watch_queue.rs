//! inotify: repeats are merged, and one event tells of those beyond the limit.
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::event::{fd_or_say, inotify_add_watch, inotify_init1, tell};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _scratch = Scratch::enter();
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap_or_default();
    let limit: usize = limit.trim().parse().unwrap_or(0);
    say!("{}", limit > 100);
    let fd = fd_or_say("inotify", inotify_init1(libc::IN_NONBLOCK));
    file::make(c"f", b"", 0o644);
    let watch = inotify_add_watch(fd, c"f", libc::IN_MODIFY | libc::IN_ACCESS).unwrap_or(0);
    let f = file::open_or_say(c"f", libc::O_RDWR, 0);
    for _ in 0..5 {
        let _ = file::pwrite(f, b"x", 0);
    }
    let _ = file::pread(f, &mut [0; 1], 0);
    let _ = file::pwrite(f, b"x", 0);
    tell("three", fd, &[(watch, "f")]);
    for _ in 0..=limit / 2 + 10 {
        let _ = file::pwrite(f, b"x", 0);
        let _ = file::pread(f, &mut [0; 1], 0);
    }
    let (mut count, mut last, mut buf) = (0, 0, vec![0u8; 4096]);
    while let Ok(len) = file::read(fd, &mut buf) {
        count += len / 16;
        last = u32::from_ne_bytes(buf[len - 12..len - 8].try_into().unwrap_or_default());
    }
    say!("one more than the limit {} overflow {}", count == limit + 1, last == libc::IN_Q_OVERFLOW);
    0
}
