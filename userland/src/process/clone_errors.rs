//! clone(2) refuses combinations that make no sense with EINVAL.
use crate::out::show;
use crate::sys;
use libc::{CLONE_FS, CLONE_NEWNS, CLONE_SIGHAND, CLONE_THREAD, CLONE_VM};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (label, flags) in [
        ("SIGHAND without VM", CLONE_SIGHAND),
        ("THREAD without SIGHAND", CLONE_THREAD | CLONE_VM),
        ("THREAD alone", CLONE_THREAD),
        ("NEWNS with FS", CLONE_NEWNS | CLONE_FS),
    ] {
        // SAFETY: the kernel refuses each; no child is made.
        show(label, unsafe { sys::call(libc::SYS_clone, [flags as usize, 0, 0, 0, 0, 0]) });
    }
    0
}
