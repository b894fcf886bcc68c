//! getrandom(2): sizes, flags, no repetition, a child's numbers differ from its parent's.
use crate::out::{say, show};
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut buf = vec![0u8; 100_000];
    for (size, flags) in [(0, 0), (1, 0), (256, 0), (100_000, 0), (16, 1), (16, 2), (16, 4), (16, 3), (16, 6), (16, 8)] {
        show(&format!("{size} flags {flags}"), process::getrandom(&mut buf[..size], flags));
    }
    let _ = process::getrandom(&mut buf, 0);
    let mut counts = [0u32; 256];
    buf.iter().for_each(|b| counts[usize::from(*b)] += 1);
    say!("every value about as often: {}", counts.iter().all(|c| (200..600).contains(c)));
    let (mut a, mut b) = ([0; 32], [0; 32]);
    let _ = process::getrandom(&mut a, 0);
    let (rx, tx) = file::pipe();
    say!("{}", child::run(|| {
        let _ = process::getrandom(&mut b, 0);
        i32::from(file::write(tx, &b) != Ok(32))
    }));
    let _ = process::getrandom(&mut a, 0);
    let _ = file::read(rx, &mut b);
    say!("child's differ: {}", a != b);
    0
}
