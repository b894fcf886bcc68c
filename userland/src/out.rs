//! Lines of output, each one `write` of its own, so that parent and child keep their order and
//! a fork never doubles a buffer.

use crate::sys;

/// Writes one line to standard output.
pub(crate) fn line(text: &str) {
    put(1, text);
}

/// Writes one line to standard error.
pub(crate) fn error(text: &str) {
    put(2, text);
}

fn put(fd: i32, text: &str) {
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b'\n');
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        match sys::file::write(fd, rest) {
            Ok(n) => rest = rest.get(n..).unwrap_or_default(),
            Err(sys::Errno(libc::EINTR)) => {}
            Err(_) => return,
        }
    }
}

/// Prints a formatted line.
macro_rules! say {
    ($($arg:tt)*) => { $crate::out::line(&format!($($arg)*)) };
}
pub(crate) use say;

/// Prints `label: 0`, `label: 17` or `label: ENOENT` for a system call's result.
pub(crate) fn show(label: &str, result: sys::Res) {
    match result {
        Ok(value) => line(&format!("{label}: {value}")),
        Err(errno) => line(&format!("{label}: {errno}")),
    }
}

/// Prints `label: ok` or the error's name: for results whose value differs from run to run.
pub(crate) fn show_ok<T>(label: &str, result: Result<T, sys::Errno>) {
    match result {
        Ok(_) => line(&format!("{label}: ok")),
        Err(errno) => line(&format!("{label}: {errno}")),
    }
}
