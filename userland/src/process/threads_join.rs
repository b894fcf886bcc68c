//! 16 threads of the C library: shared memory, joining, a mutex under contention (pthreads(7)).
use crate::out::say;
use crate::sys::process;
use std::ffi::CStr;
use std::sync::Mutex;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let total = Mutex::new(0u64);
    let pid = process::getpid();
    let results: Vec<u64> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..16u64)
            .map(|i| {
                let total = &total;
                scope.spawn(move || {
                    for _ in 0..2000 {
                        if let Ok(mut guard) = total.lock() {
                            *guard += i;
                        }
                    }
                    u64::from(process::getpid() == pid && process::gettid() != pid) + i
                })
            })
            .collect();
        handles.into_iter().map(|h| h.join().unwrap_or(999)).collect()
    });
    say!("{results:?} total {:?}", total.lock().map(|t| *t).ok());
    0
}
