//! Megabytes through a connection between processes, the sender faster and slower than the receiver,
//! and a descriptor shared by two.
use crate::out::say;
use crate::sys::{child, file, net};
use libc::{SHUT_WR, SOCK_STREAM};
use std::ffi::CStr;

fn sum(fd: i32, step: usize) -> (usize, u64) {
    let (mut total, mut hash) = (0, 0u64);
    while let Ok(bytes) = net::recv(fd, step, 0) {
        if bytes.is_empty() {
            break;
        }
        for byte in &bytes {
            hash = hash.wrapping_mul(31).wrapping_add(u64::from(*byte));
        }
        total += bytes.len();
    }
    (total, hash)
}

fn pass(from: i32, to: i32, piece: usize, step: usize) {
    let pid = child::start(|| {
        let _ = file::close(to);
        let bytes: Vec<u8> = (0..piece).map(|at| (at % 251) as u8).collect();
        let mut left = 2_000_000usize;
        while left > 0 {
            match net::send(from, &bytes[..piece.min(left)], 0) {
                Ok(n) => left -= n,
                Err(_) => return 1,
            }
        }
        i32::from(net::shutdown(from, SHUT_WR).is_err())
    });
    let _ = file::close(from);
    let got = sum(to, step);
    say!("{piece} {step}: {got:?} {}", child::end_of(pid));
    let _ = file::close(to);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (piece, step) in [(1000, 65536), (65536, 1000), (500_000, 70_000), (4096, 4096)] {
        let (l, c, s) = net::connected(false);
        let _ = file::close(l);
        pass(c, s, piece, step);
        let (a, b) = net::pair(SOCK_STREAM);
        pass(a, b, piece, step);
    }
    0
}
