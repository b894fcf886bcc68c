//! pipe2(2), read(2), write(2) with wrong flags, descriptors and pointers; nothing leaks.
use crate::out::show;
use crate::sys::{self, Arg, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("unknown flag", file::pipe2(0x10).map(|_| 0));
    // SAFETY: address 8 is never mapped: the kernel refuses it.
    show("bad pointer", unsafe { sys::call(libc::SYS_pipe2, [8, 0, 0, 0, 0, 0]) });
    show("nothing leaked", file::dup(1));
    let (rx, tx) = file::pipe();
    show("lseek", file::lseek(rx, 0, libc::SEEK_CUR));
    show("pread", file::pread(rx, &mut [0], 0));
    show("pwrite", file::pwrite(tx, b"x", 0));
    show("ftruncate", file::ftruncate(tx, 0));
    show("fsync", file::fsync(tx));
    show("getdents64", file::getdents64(rx, &mut [0; 64]));
    show("write", file::write(tx, b"abc"));
    // SAFETY: the kernel refuses the address.
    show("read to nowhere", unsafe { sys::call(libc::SYS_read, [rx.arg(), 8, 3, 0, 0, 0]) });
    show("still there", file::read(rx, &mut [0; 8]));
    // SAFETY: the kernel refuses the address.
    show("write from nowhere", unsafe { sys::call(libc::SYS_write, [tx.arg(), 8, 3, 0, 0, 0]) });
    show("read closed", file::read(99, &mut [0]));
    show("write closed", file::write(99, b"x"));
    show("read -1", file::read(-1, &mut [0]));
    show("close twice", file::close(rx).and_then(|_| file::close(rx)));
    show("close -1", file::close(-1));
    show("ioctl TCGETS", file::ioctl(tx, libc::TCGETS, 0));
    0
}
