//! A private mapping of a file shows its bytes; writes stay in the process (mmap(2)).
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, memory::{Map, PAGE}};
use libc::{PROT_READ as R, PROT_WRITE as W};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let bytes: Vec<u8> = (0..3 * PAGE + 100).map(|i| (i / 100) as u8).collect();
    file::make(c"f", &bytes, 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDONLY, 0);
    let Ok(map) = Map::new(4 * PAGE, R | W, libc::MAP_PRIVATE, fd, 0) else { return 1 };
    show("close", file::close(fd));
    say!("same: {}", bytes.iter().enumerate().all(|(i, b)| map.get(i) == *b));
    say!("zero behind the end: {}", (bytes.len()..4 * PAGE).all(|i| map.get(i) == 0));
    map.set(0, 200);
    map.set(PAGE + 5, 201);
    say!("file: {:?}", file::slurp(c"f").map(|b| b == bytes));
    say!("{}", child::run(|| {
        map.set(0, 202);
        i32::from(map.get(PAGE + 5) != 201)
    }));
    say!("own: {} {}", map.get(0), map.get(PAGE + 5));
    let fd = file::open_or_say(c"f", libc::O_RDONLY, 0);
    let Ok(part) = Map::new(PAGE, R, libc::MAP_PRIVATE, fd, 2 * PAGE as i64) else { return 1 };
    say!("at an offset: {}", part.get(0) == bytes[2 * PAGE]);
    show("unlink", file::unlink(c"f"));
    say!("still there: {}", part.get(PAGE - 1) == bytes[3 * PAGE - 1]);
    0
}
