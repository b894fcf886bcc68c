//! munmap(2): EINVAL for odd addresses, length 0 and ranges beyond the user's half.
use crate::out::show;
use crate::sys::memory::{Map, PAGE, munmap_odd};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(4 * PAGE) else { return 1 };
    show("odd address", munmap_odd(map.addr + 1, PAGE));
    show("length 0", munmap_odd(map.addr, 0));
    show("odd length rounds up", munmap_odd(map.addr, 1));
    show("kernel", munmap_odd(0xffff_8000_0000_0000, PAGE));
    show("across the end", munmap_odd(0x7fff_ffff_f000, 2 * PAGE));
    show("wraps", munmap_odd(map.addr, usize::MAX - 4095));
    show("huge length", munmap_odd(map.addr, 1 << 62));
    show("null page", munmap_odd(0, PAGE));
    0
}
