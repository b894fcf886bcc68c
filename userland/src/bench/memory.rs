//! Memory: mapping it, touching it, copying it on write.

use super::{Bench, files};
use crate::sys::memory::{self, Map};
use crate::sys::{child, file};

const LEN: usize = 4 << 20;
const PAGES: u32 = 1024;

pub(super) fn measure(bench: &Bench<'_>) {
    bench.time("mmap-munmap", || Map::anon(65536).is_ok());
    bench.time("mmap-touch-munmap", || {
        Map::anon(65536).is_ok_and(|map| {
            map.set(0, 1);
            true
        })
    });
    anonymous(bench);
    of_file(bench);
    rights(bench);
    copies(bench);
    let start = memory::brk(0);
    bench.time_many("brk", 2, |count| {
        (0..count)
            .all(|_| memory::brk(start + 65536) == start + 65536 && memory::brk(start) == start)
    });
}

fn touch(map: &Map) {
    (0..LEN).step_by(4096).for_each(|at| map.set(at, 1));
}

/// Each page of 4 MiB written once; the mapping itself is part of it.
fn anonymous(bench: &Bench<'_>) {
    bench.time_many("fault-anon", PAGES, |count| {
        (0..count).all(|_| Map::anon(LEN).map(|map| touch(&map)).is_ok())
    });
    bench.time_many("fault-anon-4k", PAGES, |count| {
        (0..count).all(|_| {
            let Ok(map) = Map::anon(LEN) else {
                return false;
            };
            let small = memory::madvise(&map, 0, LEN, libc::MADV_NOHUGEPAGE);
            touch(&map);
            // A kernel built without large pages refuses the advice, and needs none.
            small.is_ok() || small.is_err()
        })
    });
}

/// A cached file's pages, read through a private mapping.
fn of_file(bench: &Bench<'_>) {
    let Some(fd) = files::open_whole() else {
        return;
    };
    bench.time_many("fault-file-read", PAGES, |count| {
        (0..count).all(|_| {
            let map = Map::new(LEN, libc::PROT_READ, libc::MAP_PRIVATE, fd, 0);
            map.is_ok_and(|map| {
                let sum: u64 = (0..LEN)
                    .step_by(4096)
                    .map(|at| u64::from(map.get(at)))
                    .sum();
                sum > 0
            })
        })
    });
    bench.time_many("fault-file-shared-write", PAGES, |count| {
        (0..count).all(|_| {
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            Map::new(LEN, rights, libc::MAP_SHARED, fd, 0)
                .map(|map| touch(&map))
                .is_ok()
        })
    });
    let _ = file::close(fd);
}

fn rights(bench: &Bench<'_>) {
    let Ok(map) = Map::anon(65536) else { return };
    (0..65536).step_by(4096).for_each(|at| map.set(at, 1));
    bench.time_many("mprotect", 2, |count| {
        (0..count).all(|_| {
            map.protect(0, 65536, libc::PROT_READ).is_ok()
                && map
                    .protect(0, 65536, libc::PROT_READ | libc::PROT_WRITE)
                    .is_ok()
        })
    });
}

/// Pages shared with a parent, written by the child: the fork and the child's end are part of it.
fn copies(bench: &Bench<'_>) {
    let Ok(map) = Map::anon(LEN) else { return };
    touch(&map);
    bench.time_many("fork-and-write-4M", 1, |count| {
        (0..count).all(|_| {
            let pid = child::start(|| {
                touch(&map);
                0
            });
            child::wait(pid).is_ok()
        })
    });
}
