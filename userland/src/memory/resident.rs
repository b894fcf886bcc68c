//! mincore(2): which pages of anonymous memory are there; errors.
use crate::out::{say, show};
use crate::sys::{self, Arg, memory::{Map, PAGE}};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(8 * PAGE) else { return 1 };
    let _ = sys::memory::madvise(&map, 0, 8 * PAGE, libc::MADV_NOHUGEPAGE);
    map.set(0, 1);
    map.set(3 * PAGE, 1);
    let mut vector = [9u8; 8];
    show("mincore", mincore(map.addr, 8 * PAGE, &mut vector));
    say!("{:?}", vector.map(|b| b & 1));
    show("odd address", mincore(map.addr + 1, PAGE, &mut vector));
    let _ = map.unmap(4 * PAGE, PAGE);
    show("hole", mincore(map.addr, 8 * PAGE, &mut vector));
    // SAFETY: the kernel refuses the address.
    show("bad vector", unsafe { sys::call(libc::SYS_mincore, [map.addr, PAGE, 8, 0, 0, 0]) });
    0
}

fn mincore(addr: usize, len: usize, vector: &mut [u8; 8]) -> sys::Res {
    // SAFETY: at most 8 pages: one byte of the vector for each.
    unsafe { sys::call(libc::SYS_mincore, [addr.arg(), len, vector.as_mut_ptr() as usize, 0, 0, 0]) }
}
