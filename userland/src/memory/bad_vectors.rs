//! readv and writev with bad entries: those before the bad one are done; lengths that add up to
//! too much are EINVAL before anything is.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{self, Arg, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"", 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDWR, 0);
    let text = b"text".as_ptr() as usize;
    for (label, vector) in [
        ("bad second", vec![text, 4, 8, 4]),
        ("bad first", vec![8, 4, text, 4]),
        ("bad but empty", vec![8, 0, text, 4]),
        ("kernel", vec![text, 4, 0xffff_8000_0000_0000, 4]),
        ("too much together", vec![text, 4, text, isize::MAX as usize]),
        ("negative", vec![text, 4, text, usize::MAX]),
    ] {
        let args = [fd.arg(), vector.as_ptr() as usize, vector.len() / 2, 0, 0, 0];
        // SAFETY: every entry is readable text or refused.
        show(label, unsafe { sys::call(libc::SYS_writev, args) });
        show("position", file::lseek(fd, 0, libc::SEEK_CUR));
    }
    say!("{}", file::text(c"f"));
    let mut buf = [0u8; 4];
    let vector = [buf.as_mut_ptr() as usize, 4, 8, 4];
    let _ = file::lseek(fd, 0, libc::SEEK_SET);
    // SAFETY: the first entry is `buf`, the second is refused.
    show("readv, bad second", unsafe { sys::call(libc::SYS_readv, [fd.arg(), vector.as_ptr() as usize, 2, 0, 0, 0]) });
    say!("{} position {:?}", String::from_utf8_lossy(&buf), file::lseek(fd, 0, libc::SEEK_CUR));
    0
}
