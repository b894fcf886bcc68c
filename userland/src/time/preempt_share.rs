//! Busy processes share the CPU: all make progress, none several times another's.
use crate::out::say;
use crate::sys::{child, memory::{Map, PAGE}, signal, time};
use std::ffi::CStr;
use std::sync::atomic::Ordering::Relaxed;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let rw = libc::PROT_READ | libc::PROT_WRITE;
    let Ok(map) = Map::new(PAGE, rw, libc::MAP_SHARED, -1, 0) else { return 1 };
    let pids: Vec<i32> = (0..4)
        .map(|i| {
            child::start(|| loop {
                map.word(i * 64).fetch_add(1, Relaxed);
            })
        })
        .collect();
    let _ = time::sleep_ms(400);
    for pid in &pids {
        let _ = signal::kill(*pid, libc::SIGKILL);
    }
    for pid in pids {
        let _ = child::wait(pid);
    }
    let counts: Vec<u32> = (0..4).map(|i| map.word(i * 64).load(Relaxed)).collect();
    let (least, most) = (counts.iter().min(), counts.iter().max());
    say!("all ran: {}", counts.iter().all(|c| *c > 1000));
    let fair = matches!((least, most), (Some(l), Some(m)) if m / 8 <= *l);
    say!("fair enough: {fair}");
    0
}
