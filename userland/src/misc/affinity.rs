//! sched_getaffinity(2), sched_setaffinity(2): a mask with this CPU, sizes, errors.
use crate::out::{say, show};
use crate::sys::{self, Res};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut mask = [0u64; 128];
    let result = get(0, 1024, &mut mask);
    say!("got {} some {}", result.is_ok_and(|n| n >= 8 && n % 8 == 0), mask.iter().any(|w| *w != 0));
    show("size 0", get(0, 0, &mut mask));
    show("odd size", get(0, 13, &mut mask));
    show("no such process", get(0x3fff_fff0, 128, &mut mask));
    show("set the same", set(0, 1024, &mask));
    show("set none", set(0, 1024, &[0; 128]));
    0
}

fn get(pid: usize, size: usize, mask: &mut [u64; 128]) -> Res {
    // SAFETY: the kernel writes at most `size` bytes, which callers keep at most 1024.
    unsafe { sys::call(libc::SYS_sched_getaffinity, [pid, size, mask.as_mut_ptr() as usize, 0, 0, 0]) }
}

fn set(pid: usize, size: usize, mask: &[u64; 128]) -> Res {
    // SAFETY: the kernel reads at most `size` bytes.
    unsafe { sys::call(libc::SYS_sched_setaffinity, [pid, size, mask.as_ptr() as usize, 0, 0, 0]) }
}
