//! Several threads that wait for the same children: each child is given to one of them, once
//! (wait(2): without `__WNOTHREAD` a thread waits for the children of all threads).
use crate::out::say;
use crate::sys::{child, process, time};
use std::ffi::CStr;

const CHILDREN: usize = 60;
const ROUNDS: usize = 4;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for round in 0..ROUNDS {
        let mut started: Vec<i32> = (0..CHILDREN as i64)
            .map(|i| {
                child::start(|| {
                    let _ = time::sleep_ms(i % 3);
                    0
                })
            })
            .collect();
        let mut waited: Vec<i32> = std::thread::scope(|scope| {
            let waiters: Vec<_> = (0..4).map(|_| scope.spawn(wait_for_all)).collect();
            waiters.into_iter().flat_map(|waiter| waiter.join().unwrap_or_default()).collect()
        });
        started.sort_unstable();
        waited.sort_unstable();
        say!("round {round}: {} waited for, each once: {}", waited.len(), waited == started);
    }
    0
}

fn wait_for_all() -> Vec<i32> {
    let mut pids = Vec::new();
    while let Ok(pid) = process::wait4(-1, None, 0, None) {
        pids.push(pid as i32);
    }
    pids
}
