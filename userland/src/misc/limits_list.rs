//! getrlimit(2): all sixteen exist, soft isn't above hard; the ones that programs rely on.
use crate::out::say;
use crate::sys::{Plain, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut fine = 0;
    for resource in 0..16 {
        let mut limit = libc::rlimit64::zeroed();
        fine += i32::from(process::getrlimit(resource, &mut limit).is_ok() && limit.rlim_cur <= limit.rlim_max);
    }
    say!("fine {fine}");
    let get = |resource| {
        let mut limit = libc::rlimit64::zeroed();
        let _ = process::getrlimit(resource, &mut limit);
        limit.rlim_cur
    };
    say!("stack 8 MiB or more: {}", get(libc::RLIMIT_STACK) >= 8 << 20);
    say!("files 256 or more: {}", get(libc::RLIMIT_NOFILE) >= 256);
    say!("no limit on memory: {}", get(libc::RLIMIT_AS) == u64::MAX && get(libc::RLIMIT_DATA) == u64::MAX);
    say!("nor on CPU and file size: {}", get(libc::RLIMIT_CPU) == u64::MAX && get(libc::RLIMIT_FSIZE) == u64::MAX);
    crate::out::show("resource 16", process::getrlimit(16, &mut libc::rlimit64::zeroed()));
    0
}
