//! Anonymous memory reads as zero, page by page, also memory that was used before (mmap(2)).
use crate::out::say;
use crate::sys::memory::{Map, PAGE};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for round in 0..4 {
        let Ok(map) = Map::anon(256 * PAGE) else { return 1 };
        let dirty = (0..256 * PAGE).step_by(61).filter(|i| map.get(*i) != 0).count();
        say!("round {round}: {dirty} bytes not zero");
        (0..256 * PAGE).step_by(64).for_each(|i| map.set(i, 0xee));
        let kept = (0..256 * PAGE).step_by(64).filter(|i| map.get(*i) == 0xee).count();
        say!("round {round}: {kept} kept");
    }
    0
}
