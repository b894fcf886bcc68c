//! lseek(2) in a directory to an entry's d_off goes on behind that entry (getdents64(2)).
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    for i in 0..50 {
        file::make(&CString::new(format!("e{i}")).unwrap_or_default(), b"", 0o600);
    }
    let fd = file::open_or_say(c".", libc::O_RDONLY | libc::O_DIRECTORY, 0);
    let all = entries(fd);
    say!("{} entries", all.len());
    let mut wrong = 0;
    for (i, (_, offset)) in all.iter().enumerate() {
        let _ = file::lseek(fd, *offset, libc::SEEK_SET);
        let rest = entries(fd);
        wrong += usize::from(!rest.iter().map(|e| &e.0).eq(all[i + 1..].iter().map(|e| &e.0)));
    }
    say!("wrong continuations {wrong}");
    0
}

/// Names and offsets in the directory's order.
fn entries(fd: i32) -> Vec<(Vec<u8>, i64)> {
    let mut out = Vec::new();
    let mut buf = vec![0u8; 8192];
    while let Ok(n @ 1..) = file::getdents64(fd, &mut buf) {
        let mut at = 0;
        while at < n {
            let len = usize::from(u16::from_le_bytes([buf[at + 16], buf[at + 17]]));
            let mut offset = [0; 8];
            offset.copy_from_slice(&buf[at + 8..at + 16]);
            out.push((buf[at + 19..at + len].to_vec(), i64::from_le_bytes(offset)));
            at += len;
        }
    }
    out
}
