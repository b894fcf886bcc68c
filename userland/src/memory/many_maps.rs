//! A thousand mappings of one page with different protections, every other unmapped, then used.
use crate::out::say;
use crate::sys::memory::{self, Map, PAGE};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(2000 * PAGE) else { return 1 };
    let ok = (0..2000).step_by(2).filter(|p| map.protect(p * PAGE, PAGE, libc::PROT_READ).is_ok()).count();
    say!("protected {ok}");
    let zero = (0..2000).filter(|p| map.get(p * PAGE) == 0).count();
    (1..2000).step_by(2).for_each(|p| map.set(p * PAGE, (p % 251) as u8));
    say!("zero {zero}");
    let gone = (0..2000).step_by(2).filter(|p| map.unmap(p * PAGE, PAGE).is_ok()).count();
    say!("unmapped {gone}");
    let kept = (1..2000).step_by(2).filter(|p| map.get(p * PAGE) == (p % 251) as u8).count();
    say!("kept {kept}");
    let filled = memory::mmap_fixed(&map, 0, 2000 * PAGE, libc::PROT_READ, libc::MAP_PRIVATE).is_ok();
    say!("replaced {filled}, zero {}", (0..2000).filter(|p| map.get(p * PAGE) == 0).count());
    0
}
