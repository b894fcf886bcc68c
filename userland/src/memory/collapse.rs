//! madvise(2), `MADV_COLLAPSE`: small pages become huge ones and keep their bytes, whoever shares them, writes to
//! them or takes them apart.
use crate::out::{say, show};
use crate::sys::memory::{Map, PAGE, madvise, mprotect};
use crate::sys::{self, child, file};
use libc::{MADV_DONTNEED, MADV_HUGEPAGE, MADV_NOHUGEPAGE, PROT_NONE, PROT_READ, PROT_WRITE};
use std::ffi::CStr;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const HUGE: usize = 2 << 20;
const MADV_COLLAPSE: i32 = 25;
const ROUNDS: usize = 40;

/// An area of so many huge pages, with none in it.
fn room(count: usize) -> ManuallyDrop<Map> {
    let map = ManuallyDrop::new(Map::anon((count + 1) * HUGE).unwrap_or_else(|_| std::process::exit(1)));
    let addr = map.addr.next_multiple_of(HUGE);
    let room = ManuallyDrop::new(Map { addr, len: count * HUGE });
    let _ = madvise(&room, 0, room.len, MADV_NOHUGEPAGE);
    room
}

/// An area whose every page says which it is.
fn filled(count: usize) -> ManuallyDrop<Map> {
    let map = room(count);
    (0..map.len).step_by(PAGE).for_each(|at| map.word(at / 4).store(mark(at), Ordering::Relaxed));
    let _ = madvise(&map, 0, map.len, MADV_HUGEPAGE);
    map
}

fn mark(at: usize) -> u32 {
    u32::try_from(at / PAGE).map_or(0, |page| page.wrapping_mul(2_654_435_761) | 1)
}

/// Pages that don't say what they should.
fn wrong(map: &Map) -> usize {
    (0..map.len).step_by(PAGE).filter(|&at| map.word(at / 4).load(Ordering::Relaxed) != mark(at)).count()
}

fn collapse(map: &Map, offset: usize, len: usize) -> sys::Res {
    madvise(map, offset, len, MADV_COLLAPSE)
}

/// KiB of the area that lie in huge pages.
fn large(map: &Map) -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let mut within = false;
    let mut sum = 0;
    for line in text.lines() {
        let start = line.split_once('-').and_then(|(start, _)| usize::from_str_radix(start, 16).ok());
        if let Some(start) = start {
            within = (map.addr..map.addr + map.len).contains(&start);
        } else if within && let Some(size) = line.strip_prefix("AnonHugePages:") {
            sum += size.trim().trim_end_matches(" kB").parse().unwrap_or(0);
        }
    }
    sum
}

fn plain() {
    let map = filled(2);
    show("less than one", collapse(&map, PAGE, HUGE));
    show("one and a piece", collapse(&map, 0, HUGE + 5 * PAGE));
    // Linux may do the rest by itself at any time.
    say!("one: {}", large(&map) >= 2048);
    show("both", collapse(&map, 0, map.len));
    show("again", collapse(&map, 0, map.len));
    say!("both: {}, wrong: {}", large(&map), wrong(&map));
    let _ = madvise(&map, HUGE + 7 * PAGE, PAGE, MADV_DONTNEED);
    say!("a page dropped: {}, wrong: {}", map.get(HUGE + 7 * PAGE), wrong(&map));
    show("put together anew", collapse(&map, HUGE, HUGE));
    say!("{}, wrong: {}", large(&map), wrong(&map));
}

fn holes() {
    let map = room(2);
    let _ = madvise(&map, 0, map.len, MADV_HUGEPAGE);
    show("no page yet", collapse(&map, 0, HUGE));
    let _ = madvise(&map, 0, map.len, MADV_NOHUGEPAGE);
    map.set(9 * PAGE + 1, 9);
    show("refused", collapse(&map, 0, HUGE));
    let _ = madvise(&map, 0, map.len, MADV_HUGEPAGE);
    show("a page among none", collapse(&map, 0, HUGE));
    show("none beside it", collapse(&map, HUGE, HUGE));
    let sum: u32 = (0..HUGE).map(|at| u32::from(map.get(at))).sum();
    say!("{} of it: {sum}", large(&map));
}

fn shared_with_a_child() {
    let map = filled(2);
    let end = child::run(|| {
        show("a child's", collapse(&map, 0, map.len));
        say!("{}, wrong: {}", large(&map), wrong(&map));
        map.set(3 * PAGE, 0);
        say!("written, wrong: {}", wrong(&map));
        0
    });
    say!("{end}, the parent's wrong: {}", wrong(&map));
    show("the parent's", collapse(&map, 0, map.len));
    let end = child::run(|| {
        map.set(HUGE, 0);
        say!("a huge page written by a child, wrong: {}", wrong(&map));
        show("put together", collapse(&map, 0, map.len));
        say!("{}, wrong: {}", large(&map), wrong(&map));
        0
    });
    say!("{end}, the parent's: {}, wrong: {}", large(&map), wrong(&map));
}

fn rights() {
    let map = filled(1);
    let _ = mprotect(map.addr, HUGE, PROT_READ);
    show("read-only", collapse(&map, 0, HUGE));
    say!("{}", child::run(|| { map.set(0, 1); 0 }));
    let _ = mprotect(map.addr, HUGE, PROT_NONE);
    say!("{}", child::run(|| i32::from(map.get(0))));
    let _ = mprotect(map.addr, HUGE, PROT_READ | PROT_WRITE);
    say!("wrong: {}", wrong(&map));
}

fn refused() {
    let map = filled(2);
    let _ = map.unmap(HUGE, PAGE);
    show("a hole behind", collapse(&map, 0, 2 * HUGE));
    let fd = file::open_or_say(c"/proc/self/exe", libc::O_RDONLY, 0);
    if let Ok(code) = Map::new(PAGE, PROT_READ, libc::MAP_PRIVATE, fd, 0) {
        show("a file's", collapse(&code, 0, PAGE));
    }
    let disable = |on| sys::process::prctl(libc::PR_SET_THP_DISABLE, on, 0, 0, 0);
    show("none wanted", disable(1));
    show("where none is wanted", collapse(&map, 0, HUGE));
    say!("{}", child::run(|| { show("nor by a child", collapse(&map, 0, HUGE)); 0 }));
    show("wanted", disable(0));
    show("where some are", collapse(&map, 0, HUGE));
}

/// Threads write meanwhile, and nothing that they wrote is lost.
fn written_meanwhile() {
    let map = room(1);
    let done = AtomicBool::new(false);
    let count = |index: usize| {
        let mut sum = 0u32;
        while !done.load(Ordering::Relaxed) {
            for page in (index..HUGE / PAGE).step_by(8) {
                let word: &AtomicU32 = map.word(page * PAGE / 4);
                word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                sum += 1;
            }
        }
        let there: u32 = (index..HUGE / PAGE).step_by(8).map(|page| map.word(page * PAGE / 4).load(Ordering::Relaxed)).sum();
        there == sum
    };
    let right = std::thread::scope(|scope| {
        let threads = [0, 1].map(|index| scope.spawn(move || count(index)));
        for round in 0..ROUNDS {
            let _ = madvise(&map, 0, HUGE, MADV_HUGEPAGE);
            let _ = collapse(&map, 0, HUGE);
            let _ = mprotect(map.addr + (round * 12 + 5) * PAGE, PAGE, PROT_READ | PROT_WRITE);
            let _ = madvise(&map, (round * 12 + 5) * PAGE, PAGE, MADV_NOHUGEPAGE);
            std::thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
        threads.map(|thread| thread.join().unwrap_or(false))
    });
    say!("written meanwhile: {right:?}");
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    plain();
    holes();
    shared_with_a_child();
    rights();
    refused();
    written_meanwhile();
    0
}
