//! 8 MiB through one pipe and back through another, both ways at once; nothing lost or mixed.
use crate::out::say;
use crate::sys::{child, file};
use std::ffi::CStr;

const TOTAL: usize = 8 << 20;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (there_rx, there_tx) = file::pipe();
    let (back_rx, back_tx) = file::pipe();
    let echo = child::start(|| {
        let _ = file::close(there_tx);
        let mut buf = vec![0u8; 10_007];
        while let Ok(n @ 1..) = file::read(there_rx, &mut buf) {
            for byte in &mut buf[..n] {
                *byte ^= 0x5a;
            }
            if file::write_all(back_tx, &buf[..n]).is_err() {
                return 1;
            }
        }
        0
    });
    let writer = child::start(|| {
        let _ = file::close(back_rx);
        let bytes: Vec<u8> = (0..TOTAL).map(pattern).collect();
        i32::from(file::write_all(there_tx, &bytes).is_err())
    });
    for fd in [there_rx, there_tx, back_tx] {
        let _ = file::close(fd);
    }
    let got = file::read_all(back_rx).unwrap_or_default();
    let wrong = got.iter().enumerate().filter(|(i, b)| **b != pattern(*i) ^ 0x5a).count();
    say!("{} bytes, {wrong} wrong", got.len());
    say!("echo {}, writer {}", child::end_of(echo), child::end_of(writer));
    0
}

fn pattern(i: usize) -> u8 {
    (i.wrapping_mul(2_654_435_761) >> 13) as u8
}
