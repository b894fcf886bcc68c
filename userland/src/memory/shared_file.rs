//! A shared mapping of a file and read and write see each other's bytes at once; other processes
//! too (mmap(2)).
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, child, file, memory::{Map, PAGE, madvise, msync}, time};
use libc::{PROT_READ as R, PROT_WRITE as W};
use std::ffi::CStr;

/// The first write to a page is a change of the file, with its times.
fn changed_by_writing() {
    file::make(c"g", b"before", 0o600);
    let fd = file::open_or_say(c"g", libc::O_RDWR, 0);
    let times = || {
        let mut stat = libc::stat::zeroed();
        let _ = file::fstat(fd, &mut stat);
        [(stat.st_mtime, stat.st_mtime_nsec), (stat.st_ctime, stat.st_ctime_nsec)]
    };
    let before = times();
    let _ = time::sleep_ms(20);
    let Ok(map) = Map::new(PAGE, R | W, libc::MAP_SHARED, fd, 0) else { return };
    map.set(0, b'B');
    let _ = msync(map.addr, PAGE, libc::MS_SYNC);
    let after = times();
    say!("written: mtime later: {}, ctime later: {}", after[0] > before[0], after[1] > before[1]);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", &[b'.'; 2 * 4096], 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDWR, 0);
    let Ok(map) = Map::new(2 * PAGE, R | W, libc::MAP_SHARED, fd, 0) else { return 1 };
    map.set(5, b'm');
    let mut buf = [0; 8];
    show("pread", file::pread(fd, &mut buf, 0));
    say!("{}", String::from_utf8_lossy(&buf));
    changed_by_writing();
    show("pwrite", file::pwrite(fd, b"ww", 6));
    say!("map sees {} {}", map.get(6), map.get(7));
    say!("{}", child::run(|| {
        map.set(PAGE, b'c');
        let Ok(own) = Map::new(PAGE, R, libc::MAP_SHARED, fd, 0) else { return 1 };
        i32::from(own.get(5) != b'm')
    }));
    show("pread", file::pread(fd, &mut buf, PAGE as i64));
    say!("{}", String::from_utf8_lossy(&buf));
    show("msync", msync(map.addr, 2 * PAGE, libc::MS_SYNC));
    show("msync of a part", msync(map.addr, PAGE, libc::MS_SYNC));
    show("WILLNEED of a part", madvise(&map, 0, PAGE, libc::MADV_WILLNEED));
    show("truncate", file::ftruncate(fd, 4));
    say!("page beyond: {}", child::run(|| i32::from(map.get(PAGE))));
    say!("first page, behind the end: {}", map.get(5));
    show("grow", file::ftruncate(fd, 2 * PAGE as i64));
    say!("zeros: {} {}", map.get(5), map.get(PAGE));
    0
}
