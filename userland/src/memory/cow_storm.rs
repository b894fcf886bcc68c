//! Many processes that fork, write and end at once share pages of which each sees only its own.
use crate::out::say;
use crate::sys::{child, memory::{Map, PAGE}, process};
use std::ffi::CStr;

const PAGES: usize = 64;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(PAGES * PAGE) else { return 1 };
    fill(&map, 1);
    let pids: Vec<i32> = (2..10u8).map(|id| child::start(|| family(&map, id))).collect();
    for round in 0..20 {
        fill(&map, 100 + round);
        let _ = process::sched_yield();
    }
    for pid in pids {
        say!("{}", child::end_of(pid));
    }
    say!("parent: {} right", (0..PAGES).filter(|p| map.get(p * PAGE + p) == 119).count());
    0
}

fn family(map: &Map, id: u8) -> i32 {
    if (0..PAGES).any(|p| map.get(p * PAGE + p) != 1) {
        return 1;
    }
    for _ in 0..5 {
        let end = child::run(|| {
            fill(map, id + 100);
            let _ = process::sched_yield();
            i32::from((0..PAGES).any(|p| map.get(p * PAGE + p) != id + 100))
        });
        if end != "exited 0" || (0..PAGES).any(|p| map.get(p * PAGE + p) != 1) {
            return 2;
        }
    }
    fill(map, id);
    i32::from((0..PAGES).any(|p| map.get(p * PAGE + p) != id)) * 3
}

fn fill(map: &Map, value: u8) {
    (0..PAGES).for_each(|p| map.set(p * PAGE + p, value));
}
