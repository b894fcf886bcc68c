//! FIONREAD on a pipe gives the bytes that wait (pipe(7)).
use crate::out::{say, show};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    for (write, read) in [(0, 0), (10, 0), (5000, 0), (0, 7), (0, 5003)] {
        let _ = file::write(tx, &vec![1; write]);
        let _ = file::read(rx, &mut vec![0; read]);
        let mut waiting = -1i32;
        show("ioctl", file::ioctl(rx, libc::FIONREAD, (&raw mut waiting) as usize));
        say!("{waiting}");
        if write == 0 && read == 0 {
            continue;
        }
        let _ = file::ioctl(tx, libc::FIONREAD, (&raw mut waiting) as usize);
        say!("{waiting} at the write end");
    }
    show("bad pointer", file::ioctl(rx, libc::FIONREAD, 8));
    0
}
