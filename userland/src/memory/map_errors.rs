//! mmap(2) errors: EINVAL, EBADF, EACCES, ENODEV, ENOMEM, EOVERFLOW.
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::{file, memory::mmap};
use libc::{MAP_ANONYMOUS as ANON, MAP_PRIVATE as PRIV, MAP_SHARED as SHARED, PROT_READ as R, PROT_WRITE as W};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", &[1; 5000], 0o600);
    let ro = file::open_or_say(c"f", libc::O_RDONLY, 0);
    let wo = file::open_or_say(c"f", libc::O_WRONLY, 0);
    let path = file::open_or_say(c"f", libc::O_PATH, 0);
    let dir = file::open_or_say(c".", libc::O_RDONLY, 0);
    let (pipe, _) = file::pipe();
    show("length 0", mmap(0, 0, R, PRIV | ANON, -1, 0));
    show("neither private nor shared", mmap(0, 4096, R, ANON, -1, 0));
    show("both", mmap(0, 4096, R, 3 | ANON, -1, 0).map(|_| 0));
    show("huge", mmap(0, 1 << 47, R, PRIV | ANON, -1, 0));
    show("length wraps", mmap(0, usize::MAX, R, PRIV | ANON, -1, 0));
    show("odd offset", mmap(0, 4096, R, PRIV, ro, 100));
    show("offset too large", mmap(0, 8192, R, PRIV, ro, i64::MAX & !4095));
    show("closed descriptor", mmap(0, 4096, R, PRIV, 99, 0));
    show("negative descriptor", mmap(0, 4096, R, PRIV, -1, 0));
    show("directory", mmap(0, 4096, R, PRIV, dir, 0));
    show("pipe", mmap(0, 4096, R, PRIV, pipe, 0));
    show("O_PATH", mmap(0, 4096, R, PRIV, path, 0));
    show("write-only file", mmap(0, 4096, R, PRIV, wo, 0));
    show("shared write of a read-only file", mmap(0, 4096, R | W, SHARED, ro, 0));
    show_ok("private write of a read-only file", mmap(0, 4096, R | W, PRIV, ro, 0));
    show_ok("shared read of a read-only file", mmap(0, 4096, R, SHARED, ro, 0));
    show_ok("offset beyond the end", mmap(0, 4096, R, PRIV, ro, 1 << 20));
    show_ok("anonymous with a descriptor", mmap(0, 4096, R, PRIV | ANON, 99, 0));
    show("unknown flag with MAP_SHARED_VALIDATE", mmap(0, 4096, R, 3 | 0x80_0000, ro, 0).map(|_| 0));
    show_ok("odd length", mmap(0, 1, R, PRIV | ANON, -1, 0));
    show_ok("unknown protection bits", mmap(0, 4096, 0x7000_0001, PRIV | ANON, -1, 0));
    say!("done");
    0
}
