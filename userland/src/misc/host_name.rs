//! sethostname(2): errors only (the name stays): too long, bad pointer, by a user.
use crate::out::{say, show};
use crate::sys::{self, child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let set = |at: usize, len: usize| {
        // SAFETY: refused in every case here.
        unsafe { sys::call(libc::SYS_sethostname, [at, len, 0, 0, 0, 0]) }
    };
    let name = [b'x'; 100];
    show("65 bytes", set(name.as_ptr() as usize, 65));
    show("negative", set(name.as_ptr() as usize, usize::MAX));
    show("bad pointer", set(8, 5));
    say!("{}", child::run(|| {
        let _ = process::setresuid(1000, 1000, 1000);
        show("user", set(name.as_ptr() as usize, 5));
        0
    }));
    0
}
