//! open(2) with O_CREAT of the same name by two threads at once: both get the file, and with O_EXCL one of them.
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::{Res, file};
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Wrong answers came in one round of fourteen. Each has six meetings, which take their time where CPUs wait for a busy host.
const ROUNDS: usize = 100;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    for (name, flags) in [("created", libc::O_CREAT), ("exclusively", libc::O_CREAT | libc::O_EXCL)] {
        let ready = AtomicUsize::new(0);
        let tries = std::thread::scope(|scope| {
            let walk = |first: bool| open_often(first, flags, &ready);
            let threads = [true, false].map(|first| scope.spawn(move || walk(first)));
            threads.map(|thread| thread.join().unwrap_or_default())
        });
        let all = || tries.iter().flatten();
        let good = all().filter(|result| result.is_ok()).count();
        let other = all().filter_map(|result| result.err()).find(|errno| errno.0 != libc::EEXIST);
        say!("{name}: {good} of {}, other errors: {other:?}", all().count());
    }
    0
}

fn open_often(first: bool, flags: i32, ready: &AtomicUsize) -> Vec<Res> {
    (0..ROUNDS)
        .map(|round| {
            meet(ready, 6 * round);
            let result = file::openat(libc::AT_FDCWD, c"name", flags | libc::O_WRONLY, 0o600);
            if let Ok(fd) = result {
                let _ = file::close(fd as i32);
            }
            meet(ready, 6 * round + 2);
            if first {
                let _ = file::unlink(c"name");
            }
            meet(ready, 6 * round + 4);
            result
        })
        .collect()
}

/// Goes on as soon as both are here.
fn meet(ready: &AtomicUsize, before: usize) {
    ready.fetch_add(1, SeqCst);
    while ready.load(SeqCst) < before + 2 {
        std::thread::yield_now();
    }
}
