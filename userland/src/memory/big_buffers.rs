//! Very large counts: read and write take at most 0x7ffff000 bytes and never read beyond what is
//! there; negative ones are EINVAL or EFAULT as Linux has it.
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::{self, Arg, file, memory::Map};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"ten bytes!", 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDWR, 0);
    let null = file::open_or_say(c"/dev/null", libc::O_RDWR, 0);
    let flags = libc::MAP_PRIVATE | libc::MAP_NORESERVE;
    let Ok(map) = Map::new(3 << 30, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) else { return 1 };
    for len in [1usize << 20, 0x7fff_f000, 0x8000_0000, 3 << 30] {
        show(&format!("write {len:#x} to null"), call(libc::SYS_write, null, map.addr, len));
        show(&format!("read {len:#x} of the file"), call(libc::SYS_pread64, fd, map.addr, len));
    }
    for len in [1usize << 47, 1 << 62, 1 << 63, usize::MAX] {
        show(&format!("read {len:#x}"), call(libc::SYS_pread64, fd, map.addr, len));
        show(&format!("write {len:#x}"), call(libc::SYS_write, null, map.addr, len));
    }
    show("negative offset", file::pread(fd, &mut [0], -1));
    show("offset at the end of the world", file::pread(fd, &mut [0; 4], i64::MAX));
    show("write there", file::pwrite(fd, b"x", i64::MAX));
    0
}

fn call(number: i64, fd: i32, at: usize, len: usize) -> sys::Res {
    // SAFETY: the file has ten bytes, and null takes nothing: no more than the mapping is used.
    unsafe { sys::call(number, [fd.arg(), at, len, 0, 0, 0]) }
}
