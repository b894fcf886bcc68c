//! The kernel doesn't write where the program may not: text, constants, read-only and PROT_NONE
//! mappings are EFAULT, and stay as they were.
use crate::out::{say, show};
use crate::sys::{self, file, memory::{Map, PAGE}};
use std::ffi::CStr;

static CONSTANT: [u8; 16] = *b"constant content";

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(PAGE) else { return 1 };
    map.set(0, 7);
    let (rx, tx) = file::pipe();
    let _ = file::write(tx, &[0; 100]);
    let read = |at: usize| {
        // SAFETY: the kernel refuses the address.
        unsafe { sys::call(libc::SYS_read, [rx as usize, at, 8, 0, 0, 0]) }
    };
    show("text", read(run as fn(&[&CStr]) -> i32 as usize));
    show("constant", read(CONSTANT.as_ptr() as usize));
    say!("{}", String::from_utf8_lossy(&std::hint::black_box(CONSTANT)));
    let _ = map.protect(0, PAGE, libc::PROT_READ);
    show("read-only", read(map.addr));
    say!("kept {}", map.get(0));
    let _ = map.protect(0, PAGE, libc::PROT_NONE);
    show("none", read(map.addr));
    // SAFETY: the kernel refuses the address.
    show("write from none", unsafe { sys::call(libc::SYS_write, [tx as usize, map.addr, 8, 0, 0, 0]) });
    let _ = map.protect(0, PAGE, libc::PROT_READ | libc::PROT_WRITE);
    show("writable again", read(map.addr));
    show("nothing was lost", file::read(rx, &mut [0; 200]));
    0
}
