//! What can't be had is refused, not fatal: mappings larger than the address space, stacks of
//! arguments, descriptors' worth of memory; the process goes on.
use crate::out::{say, show, show_ok};
use crate::sys::{file, memory::Map, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show_ok("128 TiB", Map::anon(1 << 47));
    show("groups without a list", process::setgroups(&[]).and(Ok(0)).or(Ok(0)));
    let mut last = Ok(0);
    let mut made = 0;
    let limit = libc::rlimit64 { rlim_cur: 300, rlim_max: 300 };
    let _ = process::setrlimit(libc::RLIMIT_NOFILE, &limit);
    while made < 1000 {
        last = file::pipe2(0).map(|_| 0);
        if last.is_err() {
            break;
        }
        made += 1;
    }
    show("pipes until", last);
    say!("{made} pipes");
    let _ = file::close_range(3, u32::MAX, 0);
    show("and again", file::pipe2(0).map(|_| 0));
    0
}
