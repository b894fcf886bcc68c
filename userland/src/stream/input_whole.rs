//! Standard input to its end: how many bytes, a checksum, the end again and again.
use crate::out::{say, show};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut sum = 0xcbf2_9ce4_8422_2325u64;
    let mut total = 0u64;
    let mut buf = vec![0; 65_536];
    while let Ok(n @ 1..) = file::read(0, &mut buf) {
        total += n as u64;
        for byte in &buf[..n] {
            sum = (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    say!("{total} bytes, FNV-1a {sum:016x}");
    show("the end", file::read(0, &mut buf));
    show("again", file::read(0, &mut buf));
    0
}
