//! A pipe opened anew through /proc waits for nobody, even when its other side is gone; what was written
//! is still there. (A FIFO with a name would wait.)
use crate::out::say;
use crate::sys::file;
use std::ffi::{CStr, CString};

fn again(fd: i32, flags: i32) -> Result<i32, crate::sys::Errno> {
    let path = CString::new(format!("/proc/self/fd/{fd}")).unwrap_or_default();
    file::open(&path, flags, 0).map(|fd| i32::try_from(fd).unwrap_or(-1))
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let _ = file::write(tx, b"left behind");
    let _ = file::close(tx);
    match again(rx, libc::O_RDONLY) {
        Ok(second) => {
            let text = file::read_all(second).unwrap_or_default();
            say!("read {:?}", String::from_utf8_lossy(&text));
        }
        Err(errno) => say!("open: {errno:?}"),
    }
    let (rx, tx) = file::pipe();
    let _ = file::close(rx);
    say!("writing end without a reader: {}", again(tx, libc::O_WRONLY).is_ok());
    say!("and without waiting: {}", again(tx, libc::O_WRONLY | libc::O_NONBLOCK).is_ok());
    0
}
