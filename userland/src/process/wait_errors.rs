//! wait4(2) errors: ECHILD without children or for another's, EINVAL for unknown options,
//! ESRCH for INT_MIN, EFAULT for a bad status pointer (after which the child is gone).
use crate::out::{say, show};
use crate::sys::{self, Arg, child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("no child, any", process::wait4(-1, None, 0, None));
    show("no child, nohang", process::wait4(-1, None, libc::WNOHANG, None));
    show("own pid", process::wait4(process::getpid().unwrap_or(0) as i32, None, 0, None));
    show("no such pid", process::wait4(0x3fff_fff0, None, 0, None));
    show("own group", process::wait4(0, None, 0, None));
    show("bad option", process::wait4(-1, None, 0x10, None));
    show("INT_MIN", process::wait4(i32::MIN, None, 0, None));
    let pid = child::start(|| 4);
    // SAFETY: address 8 is never mapped: the kernel refuses it.
    let bad = unsafe { sys::call(libc::SYS_wait4, [pid.arg(), 8, 0, 0, 0, 0]) };
    show("bad status pointer", bad);
    show("afterwards", process::wait4(pid, None, 0, None));
    let pid = child::start(|| 4);
    say!("null status: {}", process::wait4(pid, None, 0, None) == Ok(pid as usize));
    0
}
