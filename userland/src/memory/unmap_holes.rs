//! munmap(2) of the middle, the ends, across several mappings and of holes; the rest stays.
use crate::out::{say, show};
use crate::sys::{child, memory::{self, Map, PAGE}};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(16 * PAGE) else { return 1 };
    (0..16).for_each(|p| map.set(p * PAGE, p as u8));
    let pieces = [(4, 2), (0, 1), (15, 1), (9, 3)];
    for (first, count) in pieces {
        show(&format!("unmap {first}+{count}"), map.unmap(first * PAGE, count * PAGE));
    }
    for page in 0..16 {
        let gone = pieces.iter().any(|(first, count)| (*first..first + count).contains(&page));
        let end = child::run(|| i32::from(map.get(page * PAGE)));
        say!("page {page} gone {gone}: {end}");
    }
    show("holes and pieces", map.unmap(0, 16 * PAGE));
    show("nothing there", map.unmap(0, 16 * PAGE));
    say!("all gone: {}", child::run(|| i32::from(map.get(7 * PAGE))));
    let back = memory::mmap_fixed(&map, 0, PAGE, libc::PROT_READ, libc::MAP_PRIVATE);
    say!("mapped again: {} zero {}", back.is_ok(), map.get(0) == 0);
    0
}
