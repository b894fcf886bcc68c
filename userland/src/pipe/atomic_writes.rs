//! Writes of at most PIPE_BUF (4096) bytes aren't mixed with others' (pipe(7)).
use crate::out::say;
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for size in [1000usize, 4096] {
        let (rx, tx) = file::pipe();
        let writers: Vec<i32> = (1..=4u8)
            .map(|id| {
                child::start(|| {
                    let record = vec![id; size];
                    i32::from((0..100).any(|_| file::write(tx, &record) != Ok(size)))
                })
            })
            .collect();
        let _ = file::close(tx);
        let all = file::read_all(rx).unwrap_or_default();
        let mixed = all.chunks(size).filter(|c| c.iter().any(|b| *b != c[0])).count();
        let counts: Vec<usize> =
            (1..=4).map(|id| all.iter().filter(|b| **b == id).count() / size).collect();
        say!("{size}: {mixed} mixed, counts {counts:?}");
        for pid in writers {
            say!("{}", child::end_of(pid));
        }
    }
    0
}
