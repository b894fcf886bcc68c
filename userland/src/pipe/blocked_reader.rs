//! Several readers asleep on one pipe: each byte goes to one of them, the end to all.
use crate::out::say;
use crate::sys::{child, file, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let (count_rx, count_tx) = file::pipe();
    let readers: Vec<i32> = (0..5)
        .map(|_| {
            child::start(|| {
                let _ = file::close(tx);
                let mut byte = [0];
                while file::read(rx, &mut byte) == Ok(1) {
                    let _ = file::write(count_tx, &byte);
                }
                0
            })
        })
        .collect();
    let _ = time::sleep_ms(10);
    for i in 0..100u8 {
        let _ = file::write(tx, &[i]);
    }
    let _ = file::close(tx);
    for pid in readers {
        say!("{}", child::end_of(pid));
    }
    let _ = file::close(count_tx);
    let mut got = file::read_all(count_rx).unwrap_or_default();
    got.sort_unstable();
    say!("{} bytes, each once: {}", got.len(), got.iter().copied().eq(0..100));
    0
}
