//! Memory files that are sealed against writing (memfd_create(2), fcntl(2)): not through descriptors, and not through
//! mappings made later, which can't be made writable either.
use crate::out::{show, show_ok};
use crate::sys::memory::{self, Map, PAGE};
use crate::sys::{self, Arg, file};
use libc::{F_ADD_SEALS, F_GET_SEALS, F_SEAL_FUTURE_WRITE, F_SEAL_SHRINK, F_SEAL_WRITE, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE};
use std::ffi::CStr;

const BOTH: i32 = PROT_READ | PROT_WRITE;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let fd = make();
    let Ok(writable) = Map::new(PAGE, BOTH, MAP_SHARED, fd, 0) else { return 1 };
    show("while it is mapped", file::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE as usize));
    show("from now on", file::fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE as usize));
    writable.set(0, 1);
    maps(fd);
    drop(writable);
    let fd = make();
    let Ok(own) = Map::new(PAGE, BOTH, MAP_PRIVATE, fd, 0) else { return 1 };
    show("with a private mapping", file::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE as usize));
    own.set(0, 1);
    maps(fd);
    show("seals", file::fcntl(fd, F_GET_SEALS, 0));
    show("no such seal", file::fcntl(fd, F_ADD_SEALS, 0x100));
    let fd = make();
    show("against shrinking", file::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK as usize));
    show("cut", file::ftruncate(fd, 0));
    show("opened to cut", file::open(&by_descriptor(fd), libc::O_RDWR | libc::O_TRUNC, 0).map(|_| 0));
    show_ok("opened", file::open(&by_descriptor(fd), libc::O_RDWR, 0));
    let (rx, _) = file::pipe();
    show("of what can't be written", file::fcntl(rx, F_ADD_SEALS, 0));
    0
}

fn by_descriptor(fd: i32) -> std::ffi::CString {
    std::ffi::CString::new(format!("/proc/self/fd/{fd}")).unwrap_or_default()
}

fn make() -> i32 {
    // SAFETY: the name is a string.
    let fd = unsafe { sys::call(libc::SYS_memfd_create, [c"sealed".arg(), libc::MFD_ALLOW_SEALING as usize, 0, 0, 0, 0]) };
    let fd = fd.map_or(-1, |fd| fd as i32);
    show("two pages", file::ftruncate(fd, 2 * PAGE as i64));
    fd
}

fn maps(fd: i32) {
    show("write", file::write(fd, b"x").map(|_| 0));
    show_ok("shared, writable", Map::new(PAGE, BOTH, MAP_SHARED, fd, 0));
    show_ok("private, writable", Map::new(PAGE, BOTH, MAP_PRIVATE, fd, 0));
    match Map::new(PAGE, PROT_READ, MAP_SHARED, fd, 0) {
        Ok(map) => show("made writable", memory::mprotect(map.addr, PAGE, BOTH)),
        Err(error) => show("shared, readable", Err(error)),
    }
}
