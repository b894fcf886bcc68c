//! RLIMIT_AS: mmap and brk beyond it are ENOMEM, and fork still works.
use crate::out::{say, show, show_ok};
use crate::sys::{child, memory::{self, Map}, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        let limit = libc::rlimit64 { rlim_cur: 256 << 20, rlim_max: u64::MAX };
        show("limit", process::setrlimit(libc::RLIMIT_AS, &limit));
        show_ok("512 MiB", Map::anon(512 << 20));
        show_ok("64 MiB", Map::anon(64 << 20));
        let now = memory::brk(0);
        say!("brk refused: {}", memory::brk(now + (512 << 20)) == now);
        say!("fork: {}", child::run(|| 3));
        0
    }));
    0
}
