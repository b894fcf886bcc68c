//! What a shared mapping writes behind the file's end within its last page isn't in the file, and
//! is gone when the file grows by write(2) over it.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file, memory::{Map, PAGE}};
use libc::{PROT_READ as R, PROT_WRITE as W};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"0123456789", 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDWR, 0);
    let Ok(map) = Map::new(PAGE, R | W, libc::MAP_SHARED, fd, 0) else { return 1 };
    map.set(9, b'X');
    map.set(12, b'Y');
    let mut stat = libc::stat::zeroed();
    show("fstat", file::fstat(fd, &mut stat));
    say!("size {} {}", stat.st_size, file::text(c"f"));
    show("append", file::pwrite(fd, b"ab", 10));
    say!("{}", file::text(c"f"));
    0
}
