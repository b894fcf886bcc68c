//! lseek(2): SET, CUR, END, beyond the end, negative, DATA and HOLE; errors.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file::{self, lseek};
use libc::{SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"0123456789", 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDWR, 0);
    for (label, offset, whence) in [
        ("set 3", 3, SEEK_SET), ("cur 2", 2, SEEK_CUR), ("cur -4", -4, SEEK_CUR), ("cur -4 again", -4, SEEK_CUR),
        ("end", 0, SEEK_END), ("end -1", -1, SEEK_END), ("end -11", -11, SEEK_END), ("set -1", -1, SEEK_SET),
        ("beyond", 100, SEEK_SET),  ("overflow", i64::MAX, SEEK_END),
        ("bad whence", 0, 9), ("data 0", 0, SEEK_DATA), ("hole 0", 0, SEEK_HOLE), ("data at the end", 10, SEEK_DATA),
        ("hole at the end", 10, SEEK_HOLE), ("hole at 9", 9, SEEK_HOLE),
    ] {
        show(label, lseek(fd, offset, whence));
    }
    show("beyond", lseek(fd, 20, SEEK_SET));
    show("read there", file::read(fd, &mut [0]));
    show("write there", file::write(fd, b"x"));
    say!("{:?}", file::slurp(c"f").map(|b| b.len()));
    let dir = file::open_or_say(c".", libc::O_RDONLY, 0);
    show("directory", lseek(dir, 0, SEEK_SET));
    show("closed", lseek(99, 0, SEEK_SET));
    0
}
