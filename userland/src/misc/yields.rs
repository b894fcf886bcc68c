//! sched_yield(2) lets others run: two processes take turns.
use crate::out::{say, show};
use crate::sys::{child, memory::{Map, PAGE}, process};
use std::ffi::CStr;
use std::sync::atomic::Ordering::SeqCst;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("alone", process::sched_yield());
    let rw = libc::PROT_READ | libc::PROT_WRITE;
    let Ok(map) = Map::new(PAGE, rw, libc::MAP_SHARED, -1, 0) else { return 1 };
    let turn = |mine: u32| {
        for _ in 0..100 {
            while map.word(0).load(SeqCst) != mine {
                let _ = process::sched_yield();
            }
            map.word(1).fetch_add(1, SeqCst);
            map.word(0).store(1 - mine, SeqCst);
        }
    };
    let pid = child::start(|| {
        turn(1);
        0
    });
    turn(0);
    say!("{} turns {}", child::end_of(pid), map.word(1).load(SeqCst));
    0
}
