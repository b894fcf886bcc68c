//! A writer of a full pipe sleeps until there is room; the reader's close wakes it with EPIPE,
//! or with the count of what it had written.
use crate::out::{say, show};
use crate::sys::{child, file, signal, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (label, first, second) in [("room for nothing", 65_536, 10), ("room for some", 60_000, 10_000)] {
        let (rx, tx) = file::pipe();
        show("first", file::write(tx, &vec![1; first]));
        let pid = child::start(|| {
            let _ = signal::set(libc::SIGPIPE, signal::SIG_IGN);
            let _ = file::close(rx);
            show(label, file::write(tx, &vec![2; second]));
            show("then", file::write(tx, b"x"));
            0
        });
        let _ = time::sleep_ms(30);
        let _ = file::close(rx);
        say!("{}", child::end_of(pid));
        let _ = file::close(tx);
    }
    let (rx, tx) = file::pipe();
    let pid = child::start(|| {
        show("200000 in one write", file::write(tx, &vec![3; 200_000]));
        0
    });
    let _ = file::close(tx);
    let _ = time::sleep_ms(10);
    let mut total = 0;
    while let Ok(n @ 1..) = file::read(rx, &mut [0; 777]) {
        total += n;
    }
    say!("read {total}, {}", child::end_of(pid));
    0
}
