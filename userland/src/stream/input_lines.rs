//! Standard input byte by byte, as a shell's `read` does; a child reads on where the parent ended.
use crate::out::say;
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("parent: {:?}", line());
    say!("{}", child::run(|| {
        say!("child: {:?}", line());
        0
    }));
    say!("parent: {:?}", line());
    0
}

/// The next line, none at the end.
fn line() -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while file::read(0, &mut byte) == Ok(1) {
        if byte[0] == b'\n' {
            return Some(String::from_utf8_lossy(&bytes).into_owned());
        }
        bytes.push(byte[0]);
    }
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}
