//! A program starts with default dispositions, nothing blocked, nothing pending, no alternate
//! stack (execve(2)). Signals 32 and 33 are the C library's own; whoever starts the program may
//! have left them ignored.
use crate::out::say;
use crate::sys::{Plain, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let odd: Vec<String> = (1..=64)
        .filter(|sig| !matches!(sig, 32 | 33))
        .filter(|sig| signal::current(*sig).map_or(true, |a| a != signal::KernelAction::default()))
        .map(signal::name)
        .collect();
    say!("not default: {odd:?}");
    say!("mask {}", signal::mask_names(signal::mask()));
    say!("pending {}", signal::mask_names(signal::pending()));
    let mut stack = libc::stack_t::zeroed();
    say!("{:?}", signal::sigaltstack(None, Some(&mut stack)));
    say!("flags {} size {} null {}", stack.ss_flags, stack.ss_size, stack.ss_sp.is_null());
    0
}
