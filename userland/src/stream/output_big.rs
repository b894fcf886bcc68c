//! Three megabytes on standard output in writes of every size arrive whole and in order.
use crate::out::say;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut line = 0u32;
    for size in [1usize, 7, 100, 4096, 5000, 65_536, 100_000] {
        for _ in 0..(400_000 / size).min(300) {
            let mut text = Vec::with_capacity(size + 16);
            while text.len() < size {
                text.extend_from_slice(format!("{line}\n").as_bytes());
                line += 1;
            }
            if file::write_all(1, &text).is_err() {
                return 1;
            }
        }
    }
    say!("end");
    0
}
