//! execve(2): E2BIG for one string of 128 KiB, and for more than a quarter of the stack's limit.
use crate::out::{say, show};
use crate::sys::{child, process};
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let limit = libc::rlimit64 { rlim_cur: 8 << 20, rlim_max: u64::MAX };
    show("stack limit", process::setrlimit(libc::RLIMIT_STACK, &limit));
    let string = |len: usize| CString::new(vec![b'x'; len]).unwrap_or_default();
    for len in [131_070, 131_071, 131_072] {
        let long = string(len);
        say!("one of {len}: {}", exec(&[c"b", c"--helper", c"true", &long]));
    }
    let block = string(99_999);
    for count in [10, 19, 22, 60] {
        let mut args = vec![c"b", c"--helper", c"true"];
        args.extend(std::iter::repeat_n(block.as_c_str(), count));
        say!("{count} of 100000: {}", exec(&args));
    }
    // To the byte: the file's own name counts, too.
    let limit = libc::rlimit64 { rlim_cur: 1 << 20, rlim_max: u64::MAX };
    show("stack limit", process::setrlimit(libc::RLIMIT_STACK, &limit));
    let (mut fits, mut too_many) = (0, 262_144);
    while too_many - fits > 1 {
        let middle = (fits + too_many) / 2;
        let args: Vec<&CStr> = [c"b", c"--helper", c"true"].into_iter().chain(std::iter::repeat_n(c"", middle)).collect();
        let end = child::run(|| process::execve(super::SELF, &args, &[]).map_or_else(|errno| errno.0, |_| 0));
        if end == "exited 0" {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    say!("empty ones: {fits}");
    0
}

fn exec(args: &[&CStr]) -> String {
    child::run(|| {
        show("execve", process::execve(super::SELF, args, &[]));
        1
    })
}
