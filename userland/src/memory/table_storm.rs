//! Threads write all over a region, each to pages of its own, while the process forks again and again:
//! every child's region stands still, whatever it does to it itself, and no thread ever loses a byte.
use crate::out::say;
use crate::sys::{child, memory::{self, Map, PAGE}};
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

const LEN: usize = 4 << 20;
const PAGES: usize = LEN / PAGE;
const WRITERS: usize = 3;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for advice in [libc::MADV_NOHUGEPAGE, libc::MADV_HUGEPAGE] {
        let Ok(room) = Map::anon(LEN + (2 << 20)) else { return 1 };
        let addr = (room.addr + (2 << 20) - 1) & !((2 << 20) - 1);
        let map = std::mem::ManuallyDrop::new(Map { addr, len: LEN });
        let _ = memory::madvise(&map, 0, LEN, advice);
        (0..PAGES).for_each(|page| map.set(page * PAGE, 0));
        storm(&map);
    }
    0
}

fn storm(map: &Map) {
    let done = AtomicBool::new(false);
    let (mut still, mut lost) = (0, 0);
    std::thread::scope(|scope| {
        let writers: Vec<_> =
            (0..WRITERS).map(|own| scope.spawn({ let done = &done; move || write(map, own, done) })).collect();
        for round in 0..12 {
            let pid = child::start(|| snapshot(map, round));
            still += i32::from(child::end_of(pid) == "exited 7");
        }
        done.store(true, SeqCst);
        lost = writers.into_iter().filter_map(|writer| writer.join().ok()).sum::<usize>();
    });
    say!("children whose memory stood still: {still}, bytes lost: {lost}");
}

/// Writes rising numbers to every page that is this thread's, and reads back what it wrote.
fn write(map: &Map, own: usize, done: &AtomicBool) -> usize {
    let (mut value, mut lost) = (0u8, 0);
    while !done.load(SeqCst) {
        for page in (own..PAGES).step_by(WRITERS + 1) {
            lost += usize::from(map.get(page * PAGE) != value);
            map.set(page * PAGE, value.wrapping_add(1));
        }
        value = value.wrapping_add(1);
    }
    lost
}

fn sum(map: &Map) -> u64 {
    (0..PAGES).map(|page| u64::from(map.get(page * PAGE)) * (page as u64 + 1)).sum()
}

fn snapshot(map: &Map, round: usize) -> i32 {
    let first = sum(map);
    let same = (0..4).all(|_| sum(map) == first);
    match round % 4 {
        0 => (0..PAGES).for_each(|page| map.set(page * PAGE, 250)),
        1 => drop(map.unmap(PAGE * 3, LEN / 2)),
        2 => drop(map.protect(0, LEN / 2 + PAGE, libc::PROT_READ)),
        _ => {}
    }
    if same { 7 } else { 1 }
}
