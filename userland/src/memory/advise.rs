//! madvise(2): MADV_DONTNEED drops private pages (zeros, or the file's bytes, come back); the hints
//! change nothing; errors.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{file, memory::{Map, PAGE, madvise}};
use libc::{PROT_READ as R, PROT_WRITE as W};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let Ok(map) = Map::anon(4 * PAGE) else { return 1 };
    (0..4).for_each(|p| map.set(p * PAGE, 5));
    show("DONTNEED", madvise(&map, PAGE, 2 * PAGE, libc::MADV_DONTNEED));
    say!("{:?}", (0..4).map(|p| map.get(p * PAGE)).collect::<Vec<_>>());
    for (label, advice) in [("NORMAL", libc::MADV_NORMAL), ("RANDOM", libc::MADV_RANDOM), ("SEQUENTIAL", libc::MADV_SEQUENTIAL), ("WILLNEED", libc::MADV_WILLNEED), ("bad", 999)] {
        show(label, madvise(&map, 0, 4 * PAGE, advice));
    }
    show("odd address", madvise(&map, 1, PAGE, libc::MADV_NORMAL));
    let _ = map.unmap(2 * PAGE, PAGE);
    show("over a hole", madvise(&map, 0, 4 * PAGE, libc::MADV_DONTNEED));
    say!("dropped all the same: {} {}", map.get(0), map.get(3 * PAGE));
    file::make(c"f", &[b'f'; 4096], 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDONLY, 0);
    let Ok(private) = Map::new(PAGE, R | W, libc::MAP_PRIVATE, fd, 0) else { return 1 };
    private.set(0, b'x');
    show("DONTNEED of a file", madvise(&private, 0, PAGE, libc::MADV_DONTNEED));
    say!("the file's byte: {}", private.get(0) == b'f');
    0
}
