//! mprotect(2) takes the right to write away while another thread writes: once the call has returned
//! nothing changes any more.
use crate::out::say;
use crate::sys::memory::{Map, PAGE};
use crate::sys::child;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for _ in 0..20 {
        let Ok(result) = Map::new(PAGE, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0)
        else {
            return 1;
        };
        let end = child::run(|| protect(&result));
        let moved = result.word(0).load(Ordering::Relaxed);
        if end != "killed by SIGSEGV" || moved != 1 {
            say!("{end}, {moved}");
        }
    }
    say!("done");
    0
}

/// Leaves 1 in `result` when the page stood still after the call, 2 when it didn't. The writer's fault
/// ends the process.
fn protect(result: &Map) -> i32 {
    let Ok(page) = Map::anon(PAGE) else { return 1 };
    let started = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let word = page.word(0);
            // The first fault waits until the other thread has looked: it holds the process's end up
            // no longer than that.
            loop {
                word.fetch_add(1, Ordering::Relaxed);
                started.store(1, Ordering::Relaxed);
            }
        });
        while started.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        result.word(0).store(1, Ordering::Relaxed);
        if page.protect(0, PAGE, libc::PROT_READ).is_err() {
            return;
        }
        let word = page.word(0);
        let before = word.load(Ordering::Relaxed);
        for _ in 0..100_000 {
            if word.load(Ordering::Relaxed) != before {
                result.word(0).store(2, Ordering::Relaxed);
            }
        }
    });
    0
}
