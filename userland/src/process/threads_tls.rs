//! Each thread has thread-local storage of its own (FS base), kept across switches.
use crate::out::say;
use crate::sys::process;
use std::cell::Cell;
use std::ffi::CStr;

thread_local!(static OWN: Cell<u64> = const { Cell::new(5) });

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let handles: Vec<_> = (1..=8u64)
        .map(|i| {
            std::thread::spawn(move || {
                for _ in 0..100 {
                    OWN.set(OWN.get() + i);
                    let _ = process::sched_yield();
                }
                OWN.get()
            })
        })
        .collect();
    let results: Vec<u64> = handles.into_iter().map(|h| h.join().unwrap_or(0)).collect();
    say!("{results:?} main {}", OWN.get());
    0
}
