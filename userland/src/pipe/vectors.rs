//! readv(2) and writev(2) on a pipe: empty entries, short ends, too many entries.
use crate::out::{say, show};
use crate::sys::{self, Arg, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    show("writev", file::writev(tx, &[b"ab", b"", b"cdef", b"g"]));
    let (mut one, mut two, mut three) = ([b'-'; 3], [b'-'; 3], [b'-'; 3]);
    show("readv", file::readv(rx, &mut [&mut one, &mut [], &mut two, &mut three]));
    say!("{:?}", [one, two, three].map(|p| String::from_utf8_lossy(&p).into_owned()));
    show("no entries", file::writev(tx, &[]));
    show("no entries to read", file::readv(rx, &mut []));
    show("1024 entries", file::writev(tx, &[&b"x"[..]; 1024]));
    show("1025 entries", file::writev(tx, &[&b"x"[..]; 1025]));
    let bad = [0usize, usize::MAX / 2 + 2];
    let args = [tx.arg(), bad.as_ptr() as usize, 1, 0, 0, 0];
    // SAFETY: a negative length is refused.
    show("negative length", unsafe { sys::call(libc::SYS_writev, args) });
    // SAFETY: a negative count is refused.
    show("negative count", unsafe { sys::call(libc::SYS_writev, [tx.arg(), args[1], usize::MAX, 0, 0, 0]) });
    0
}
