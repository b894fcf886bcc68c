//! An undisturbed sleep ends soon after its time: the best of several within 5 ms.
use crate::out::say;
use crate::sys::time;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for ms in [1, 5, 20, 100] {
        let best = (0..6)
            .map(|_| {
                let start = time::monotonic();
                let _ = time::sleep_ms(ms);
                time::monotonic() - start - ms * 1_000_000
            })
            .min();
        say!("{ms} ms: close {}", best.is_some_and(|late| (0..5_000_000).contains(&late)));
    }
    0
}
