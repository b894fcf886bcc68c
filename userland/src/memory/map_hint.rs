//! A free address as a hint is taken (rounded down to a page); one in use isn't, and nothing is
//! replaced; mappings never overlap (mmap(2)).
use crate::out::say;
use crate::sys::memory::{self, Map, PAGE};
use libc::{MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rw, flags) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    let Ok(map) = Map::anon(4 * PAGE) else { return 1 };
    map.set(0, 9);
    let other = memory::mmap(map.addr, PAGE, rw, flags, -1, 0).unwrap_or(0);
    say!("in use: elsewhere {} kept {}", !(map.addr..map.addr + 4 * PAGE).contains(&other), map.get(0));
    let _ = map.unmap(PAGE, PAGE);
    let free = memory::mmap(map.addr + PAGE + 123, PAGE, rw, flags, -1, 0);
    say!("free: taken {}", free == Ok(map.addr + PAGE));
    let far = 0x2000_0000_0000;
    say!("far: taken {}", memory::mmap(far, PAGE, rw, flags, -1, 0) == Ok(far));
    let beyond = memory::mmap(0xffff_8000_0000_0000, PAGE, rw, flags, -1, 0);
    say!("beyond: elsewhere {}", beyond.is_ok_and(|a| a < 0x8000_0000_0000));
    let mut ranges: Vec<usize> = (0..200).filter_map(|_| memory::mmap(0, 3 * PAGE, rw, flags, -1, 0).ok()).collect();
    ranges.sort_unstable();
    say!("{} maps, overlapping {}", ranges.len(), ranges.windows(2).filter(|w| w[1] - w[0] < 3 * PAGE).count());
    say!("page-aligned {}", ranges.iter().all(|a| a % PAGE == 0));
    0
}
