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
    0
}

fn exec(args: &[&CStr]) -> String {
    child::run(|| {
        show("execve", process::execve(super::SELF, args, &[]));
        1
    })
}
