//! A recursion without end hits the stack's limit: SIGSEGV, which can't be handled without an
//! alternate stack.
use crate::out::{say, show};
use crate::sys::{child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let limit = libc::rlimit64 { rlim_cur: 1 << 20, rlim_max: u64::MAX };
    say!("{}", child::run(|| {
        show("limit 1 MiB", process::setrlimit(libc::RLIMIT_STACK, &limit));
        endless(0) as i32
    }));
    say!("{}", child::run(|| endless(0) as i32));
    0
}

#[allow(unconditional_recursion, reason = "the stack is meant to overflow")]
#[inline(never)]
fn endless(depth: u64) -> u64 {
    let block = std::hint::black_box([depth; 500]);
    endless(depth + 1) + block[17]
}
