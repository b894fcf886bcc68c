//! fork(2) while another thread writes: the child's memory stands still.
use crate::out::say;
use crate::sys::child;
use crate::sys::memory::{Map, PAGE};
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

const PAGES: usize = 8;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(PAGES * PAGE) else { return 1 };
    let over = AtomicBool::new(false);
    let wrong = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for page in 0..PAGES {
                    map.word(page * PAGE / 4).fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let wrong = (0..25).filter(|_| child::run(|| stands_still(&map)) != "exited 0").count();
        over.store(true, Ordering::Relaxed);
        wrong
    });
    // What the parent's other thread wrote all along is there, once each.
    let words: Vec<u32> = (0..PAGES).map(|page| map.word(page * PAGE / 4).load(Ordering::Relaxed)).collect();
    let lost = words.iter().any(|word| words[0].abs_diff(*word) > 1);
    say!("children whose memory moved: {wrong}; writes lost: {lost}");
    0
}

fn stands_still(map: &Map) -> i32 {
    let look = || -> Vec<u32> {
        (0..PAGES).map(|page| map.word(page * PAGE / 4).load(Ordering::Relaxed)).collect()
    };
    let before = look();
    i32::from((0..2000).any(|_| look() != before))
}
