//! A fault on a page of a file that isn't in memory: those around it are read, too, and what is read is the file's.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{self, Arg, file, memory::{Map, PAGE}};
use std::ffi::CStr;
use std::ops::Range;
use std::time::Duration;

const PAGES: usize = 512;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let fd = file::open_or_say(c"f", libc::O_RDWR | libc::O_CREAT, 0o600);
    for page in 0..PAGES {
        let _ = file::write(fd, &[page as u8; PAGE]);
    }
    show("fsync", file::fsync(fd));
    // SAFETY: no pointers.
    show("drop", unsafe { sys::call(libc::SYS_fadvise64, [fd.arg(), 0, 0, libc::POSIX_FADV_DONTNEED as usize, 0, 0]) });
    let Ok(map) = Map::new(PAGES * PAGE, libc::PROT_READ, libc::MAP_SHARED, fd, 0) else { return 1 };
    let middle = PAGES / 2;
    say!("{}", usize::from(map.get(middle * PAGE)) == middle % 256);
    let (before, after) = (middle - 7..middle, middle + 1..middle + 8);
    let all = |range: &Range<usize>| present(&map)[range.clone()].iter().all(|&page| page);
    // The others may still be on their way.
    let mut tries = 200;
    while tries > 0 && !(all(&before) && all(&after)) {
        tries -= 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    say!("after it {} before it {}", all(&after), all(&before));
    let wrong = (0..PAGES).rev().filter(|&page| map.get(page * PAGE + 77) != page as u8).count();
    say!("wrong pages {wrong}, all in memory {}", present(&map).iter().all(|&p| p));
    0
}

/// Which of the mapping's pages are in memory.
fn present(map: &Map) -> Vec<bool> {
    let mut vector = [0u8; PAGES];
    // SAFETY: a byte of the vector for each page.
    let told = unsafe { sys::call(libc::SYS_mincore, [map.addr, PAGES * PAGE, vector.as_mut_ptr() as usize, 0, 0, 0]) };
    if told.is_err() {
        show("mincore", told);
    }
    vector.iter().map(|byte| byte & 1 != 0).collect()
}
