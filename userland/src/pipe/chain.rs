//! A pipeline of 30 processes, each adding one to every byte, as a shell would build it.
use crate::out::say;
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (mut from, first) = file::pipe();
    let mut pids = Vec::new();
    for _ in 0..30 {
        let (rx, tx) = file::pipe();
        pids.push(child::start(|| {
            let _ = file::dup2(from, 0);
            let _ = file::dup2(tx, 1);
            let _ = file::close_range(3, u32::MAX, 0);
            let mut buf = [0u8; 4096];
            while let Ok(n @ 1..) = file::read(0, &mut buf) {
                buf[..n].iter_mut().for_each(|b| *b = b.wrapping_add(1));
                if file::write_all(1, &buf[..n]).is_err() {
                    return 1;
                }
            }
            0
        }));
        let _ = file::close(from);
        let _ = file::close(tx);
        from = rx;
    }
    let feeder = child::start(|| {
        let bytes: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
        i32::from(file::write_all(first, &bytes).is_err())
    });
    let _ = file::close(first);
    let got = file::read_all(from).unwrap_or_default();
    let right = (0..200_000u32).map(|i| ((i % 251) as u8).wrapping_add(30));
    say!("{} bytes, right: {}", got.len(), got.iter().copied().eq(right));
    let ends: Vec<String> = pids.into_iter().chain([feeder]).map(child::end_of).collect();
    say!("all exited 0: {}", ends.iter().all(|e| e == "exited 0"));
    0
}
