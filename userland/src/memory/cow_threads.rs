//! A thread that only reads sees what another one writes to a page that a child still shares: the
//! page's copy takes the place of the old one on every processor. And a thread that only writes
//! doesn't write to the page of a child that was made meanwhile.
use crate::out::say;
use crate::sys::{child, memory::Map, process, signal, time};
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use std::time::{Duration, Instant};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(2 * 4096) else { return 1 };
    reading(&map);
    writing(&map);
    0
}

fn reading(map: &Map) {
    let done = AtomicBool::new(false);
    let last = AtomicU8::new(0);
    let mut seen = 0;
    map.set(0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(SeqCst) {
                last.store(map.get(0), SeqCst);
            }
        });
        for round in 1..=5 {
            // The child holds on to the old page until its parent has written.
            let pid = child::start(|| {
                let _ = time::sleep_ms(60_000);
                0
            });
            let _ = time::sleep_ms(20);
            map.set(0, round);
            let until = Instant::now() + Duration::from_millis(700);
            while last.load(SeqCst) != round && Instant::now() < until {
                let _ = process::sched_yield();
            }
            seen += i32::from(last.load(SeqCst) == round);
            let _ = signal::kill(pid, libc::SIGKILL);
            let _ = child::wait(pid);
        }
        done.store(true, SeqCst);
    });
    say!("changes seen: {seen}");
}

fn writing(map: &Map) {
    let done = AtomicBool::new(false);
    let mut still = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut value = 0u8;
            while !done.load(SeqCst) {
                value = value.wrapping_add(1);
                map.set(4096, value);
            }
        });
        for _ in 0..10 {
            let _ = time::sleep_ms(5);
            let pid = child::start(|| {
                let first = map.get(4096);
                let same = (0..100_000).all(|_| map.get(4096) == first);
                i32::from(same)
            });
            still += i32::from(child::end_of(pid) == "exited 1");
        }
        done.store(true, SeqCst);
    });
    say!("children whose page stood still: {still}");
}
