//! One page of a file at 20,000 places: each write is seen at all of them, and writing it out doesn't look at
//! everything for each of them.
use crate::out::{say, show};
use crate::sys::{file, memory};
use std::ffi::CStr;

const PLACES: usize = 20_000;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = crate::scratch::Scratch::enter();
    file::make(c"page", &[1; 4096], 0o600);
    let fd = file::open_or_say(c"page", libc::O_RDWR, 0);
    let places: Vec<usize> = (0..PLACES)
        .map_while(|_| memory::mmap(0, 4096, 3, libc::MAP_SHARED, fd, 0).ok())
        .collect();
    say!("{}", places.len());
    for round in 0..20u8 {
        let at = places[usize::from(round) * 997 % places.len()];
        // SAFETY: the page is mapped for writing, and nothing of Rust's lies there.
        unsafe { (at as *mut u8).write_volatile(round) };
        let written = memory::msync(at, 4096, libc::MS_SYNC);
        // SAFETY: likewise.
        let seen = places.iter().all(|at| unsafe { (*at as *const u8).read_volatile() } == round);
        if written.is_err() || !seen {
            say!("round {round}: {written:?} {seen}");
        }
    }
    show("truncate", file::ftruncate(fd, 0));
    show("longer", file::ftruncate(fd, 4096));
    // SAFETY: likewise.
    say!("{}", places.iter().all(|at| unsafe { (*at as *const u8).read_volatile() } == 0));
    0
}
