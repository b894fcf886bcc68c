//! Processes and threads: making them, ending them, waking them.

use super::Bench;
use super::calls::futex;
use crate::sys::memory::Map;
use crate::sys::{child, process};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

pub(super) fn measure(bench: &Bench<'_>) {
    bench.time("fork-exit-wait", || child::wait(child::start(|| 0)).is_ok());
    large_fork(bench);
    exec(bench);
    bench.time("thread-create-join", || {
        std::thread::Builder::new()
            .spawn(|| {})
            .is_ok_and(|thread| thread.join().is_ok())
    });
    ping_pong(bench);
}

/// With much in memory, in pages of 4 KiB and in large ones.
fn large_fork(bench: &Bench<'_>) {
    let sizes = [
        ("fork-256M", 256 << 20, libc::MADV_NOHUGEPAGE),
        ("fork-1G", 1 << 30, libc::MADV_NOHUGEPAGE),
        ("fork-1G-large", 1 << 30, libc::MADV_HUGEPAGE),
    ];
    for (name, len, advice) in sizes {
        // Those of 1 GiB need a machine with twice that, so they must be asked for.
        if !bench.wants(name) || (len > 256 << 20 && !bench.is_named(name)) {
            continue;
        }
        let Ok(map) = Map::anon(len) else { return };
        let _ = crate::sys::memory::madvise(&map, 0, len, advice);
        (0..len).step_by(4096).for_each(|at| map.set(at, 1));
        bench.time(name, || child::wait(child::start(|| 0)).is_ok());
    }
}

fn exec(bench: &Bench<'_>) {
    let run = || {
        let _ = process::execve(crate::exec::SELF, &[c"b", c"--helper", c"true"], &[]);
        127
    };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    bench.time("vfork-exec-wait", || {
        let pid = child::start_on_stack(flags, run);
        child::wait(pid) == Ok(child::Status(0))
    });
    // Beside the other one, which has a MiB of its own to start.
    let run_small = || {
        let _ = process::execve(c"/bin/small", &[c"small"], &[]);
        127
    };
    bench.time("vfork-exec-small", || {
        let pid = child::start_on_stack(flags, run_small);
        child::wait(pid) == Ok(child::Status(0))
    });
    bench.time("fork-exec-wait", || {
        child::wait(child::start(run)) == Ok(child::Status(0))
    });
    bench.time("posix_spawn-wait", || {
        let mut pid = 0;
        let argv = [c"b", c"--helper", c"true"].map(|word| word.as_ptr().cast_mut());
        let argv = [argv[0], argv[1], argv[2], std::ptr::null_mut()];
        let none = [std::ptr::null_mut()];
        // SAFETY: NUL-terminated strings in NULL-terminated lists; no actions, no attributes.
        let error = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                crate::exec::SELF.as_ptr(),
                std::ptr::null(),
                std::ptr::null(),
                argv.as_ptr(),
                none.as_ptr(),
            )
        };
        error == 0 && child::wait(pid) == Ok(child::Status(0))
    });
}

/// Two threads hand a word to and fro; one round is two wake-ups and two waits.
fn ping_pong(bench: &Bench<'_>) {
    if !bench.wants("futex-ping-pong") {
        return;
    }
    let word = Arc::new(AtomicU32::new(0));
    let other = {
        let word = Arc::clone(&word);
        std::thread::spawn(move || {
            loop {
                match word.load(SeqCst) {
                    0 => drop(futex(&word, libc::FUTEX_WAIT, 0)),
                    1 => {
                        word.store(0, SeqCst);
                        let _ = futex(&word, libc::FUTEX_WAKE, 1);
                    }
                    _ => return,
                }
            }
        })
    };
    bench.time("futex-ping-pong", || {
        word.store(1, SeqCst);
        let _ = futex(&word, libc::FUTEX_WAKE, 1);
        while word.load(SeqCst) == 1 {
            let _ = futex(&word, libc::FUTEX_WAIT, 1);
        }
        true
    });
    word.store(2, SeqCst);
    let _ = futex(&word, libc::FUTEX_WAKE, 1);
    let _ = other.join();
}
