//! msync(2): its flags and errors.
use crate::out::show;
use crate::sys::memory::{Map, PAGE, msync};
use libc::{MS_ASYNC, MS_INVALIDATE, MS_SYNC};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(4 * PAGE) else { return 1 };
    for (label, flags) in [("sync", MS_SYNC), ("async", MS_ASYNC), ("both", MS_SYNC | MS_ASYNC), ("invalidate", MS_INVALIDATE), ("none", 0), ("unknown", 0x80)] {
        show(label, msync(map.addr, 4 * PAGE, flags));
    }
    show("odd address", msync(map.addr + 1, PAGE, MS_SYNC));
    show("length 0", msync(map.addr, 0, MS_SYNC));
    let _ = map.unmap(PAGE, PAGE);
    show("hole", msync(map.addr, 4 * PAGE, MS_SYNC));
    0
}
