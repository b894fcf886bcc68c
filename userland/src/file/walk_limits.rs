//! openat2(2): how far a walk may go.
use crate::out::show;
use crate::sys::{self, Arg, Res, file};
use std::ffi::CStr;

const NO_XDEV: u64 = 1;
const NO_MAGICLINKS: u64 = 2;
const NO_SYMLINKS: u64 = 4;
const BENEATH: u64 = 8;
const IN_ROOT: u64 = 16;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(proc) = file::fd(file::open(c"/proc", libc::O_RDONLY | libc::O_DIRECTORY, 0)) else { return 1 };
    let within = |label: &str, path: &CStr, limits: u64| show(label, open(proc, path, limits, 24).map(|_| 0));
    within("within the mount", c"self/fd", NO_XDEV);
    within("up", c"..", NO_XDEV);
    within("up and down", c"../proc", NO_XDEV);
    within("from the root", c"/", NO_XDEV);
    within("from the root into a mount", c"/proc", NO_XDEV);
    within("along a magic link", c"self/root", NO_XDEV);
    within("through one", c"self/root/proc", NO_XDEV);
    within("along one to the working directory", c"self/cwd", NO_XDEV);
    let _ = file::dup2(proc, 99);
    within("along one within the mount", c"self/fd/99", NO_XDEV);
    within("no magic links", c"self/root", NO_MAGICLINKS);
    within("a link of another kind", c"self/status", NO_MAGICLINKS);
    within("no links at all", c"self/status", NO_SYMLINKS);
    within("beneath", c"self/status", BENEATH);
    within("above", c"..", BENEATH);
    within("above and back", c"self/../../proc", BENEATH);
    within("from the root", c"/", BENEATH);
    within("magic links", c"self/root", BENEATH);
    within("as the root", c"/self/status", IN_ROOT);
    within("above the root", c"../../self/status", IN_ROOT);
    within("unknown limits", c"self", 1 << 20);
    within("two that exclude each other", c"self", BENEATH | IN_ROOT);
    show("too small", open(proc, c"self", 0, 8));
    show("too large", open(proc, c"self", 0, 1 << 20));
    0
}

fn open(base: i32, path: &CStr, limits: u64, size: usize) -> Res {
    let how = [0u64, 0, limits];
    // SAFETY: the path and the structure outlive the call; a larger size is refused unread.
    unsafe { sys::call(libc::SYS_openat2, [base.arg(), path.arg(), how.as_ptr() as usize, size, 0, 0]) }
}
