//! mmap(2) puts fresh pages in the place of others that another thread reads all the time: once the
//! call has returned, none of the threads sees what was there before.
use crate::out::say;
use crate::sys::memory::{Map, PAGE, mmap_fixed};
use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, Ordering};

const PAGES: usize = 4;
const ROUNDS: u32 = 400;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(PAGES * PAGE) else { return 1 };
    let round = AtomicU32::new(0);
    let stale = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| (0..).find_map(|_| read(&map, &round))))
            .collect();
        for next in 1..=ROUNDS {
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            if mmap_fixed(&map, 0, PAGES * PAGE, rights, libc::MAP_PRIVATE).is_err() {
                break;
            }
            for page in 0..PAGES {
                map.word(page * PAGE / 4).store(next, Ordering::Relaxed);
            }
            round.store(next, Ordering::Release);
            std::thread::yield_now();
        }
        round.store(u32::MAX, Ordering::Release);
        let counts = readers.into_iter().map(|reader| reader.join());
        counts.map(|count| count.ok().flatten().unwrap_or(99)).sum::<u32>()
    });
    say!("old pages seen: {stale}");
    0
}

/// Looks at every page for a while; when all is over, how many showed what had been replaced.
fn read(map: &Map, round: &AtomicU32) -> Option<u32> {
    let mut stale = 0;
    loop {
        let known = round.load(Ordering::Acquire);
        if known == u32::MAX {
            return Some(stale);
        }
        for page in 0..PAGES {
            let seen = map.word(page * PAGE / 4).load(Ordering::Relaxed);
            // A fresh page is 0 until it is written.
            stale += u32::from(seen != 0 && seen < known);
        }
    }
}
