//! mremap(2): grows in place or by moving, shrinks, keeps contents; errors.
use crate::out::{say, show_ok};
use crate::sys::{memory::{self, Map, PAGE}};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(mut map) = Map::anon(4 * PAGE) else { return 1 };
    (0..4).for_each(|p| map.set(p * PAGE, p as u8 + 1));
    let tell = |map: &Map| -> Vec<u8> { (0..map.len / PAGE).map(|p| map.get(p * PAGE)).collect() };
    show_ok("may move", memory::mremap(&mut map, 8 * PAGE, libc::MREMAP_MAYMOVE));
    say!("{:?}", tell(&map));
    show_ok("shrink", memory::mremap(&mut map, 2 * PAGE, 0));
    say!("{:?}", tell(&map));
    let again = memory::mmap(map.addr + 2 * PAGE, PAGE, libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE, -1, 0);
    say!("the rest is free: {}", again.is_ok());
    show_ok("grow into a mapping", memory::mremap(&mut map, 4 * PAGE, 0));
    show_ok("the same size", memory::mremap(&mut map, 2 * PAGE, 0));
    show_ok("to nothing", memory::mremap(&mut map, 0, libc::MREMAP_MAYMOVE));
    show_ok("unknown flag", memory::mremap(&mut map, PAGE, 0x100));
    let mut hole = Map { addr: 0x1000, len: PAGE };
    show_ok("nothing there", memory::mremap(&mut hole, 2 * PAGE, libc::MREMAP_MAYMOVE));
    std::mem::forget(hole);
    say!("{:?}", tell(&map));
    0
}
