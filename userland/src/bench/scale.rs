//! The same operations as what surrounds them grows: `NAME@N`, where N processes, open files, mappings, names,
//! timers or waiters are there besides. Where growth shouldn't matter, N must not.

use super::Bench;
use super::calls::futex;
use crate::sys::memory::{self, Map};
use crate::sys::{child, file, process, signal};
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

const STEPS: [usize; 5] = [1, 10, 100, 1000, 10_000];

pub(super) fn measure(bench: &Bench<'_>) {
    // SAFETY: a valid structure; without the right to it the largest steps are left out.
    unsafe {
        let many = libc::rlimit {
            rlim_cur: 20_000,
            rlim_max: 20_000,
        };
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const many);
    }
    // Each in a process of its own, with which everything goes.
    for subject in [descriptors, timers, names, mappings, processes, waiters] {
        let _ = child::wait(child::start(|| {
            subject(bench);
            0
        }));
    }
}

/// Takes `grow` from step to step; `operations` are measured at each. What can't grow says so.
fn grow(
    bench: &Bench<'_>,
    names: &[&str],
    mut grow: impl FnMut(usize) -> bool,
    mut operation: impl FnMut(&str, &str),
) {
    let mut now = 0;
    for step in STEPS {
        while now < step && grow(now) {
            now += 1;
        }
        for name in names {
            let shown = format!("{name}@{step}");
            if now < step {
                crate::out::line(&format!("{shown} -"));
            } else if bench.wants(name) {
                operation(name, &shown);
            }
        }
    }
}

fn descriptors(bench: &Bench<'_>) {
    file::make(c"scale", b"", 0o644);
    let Ok(null) = file::fd(file::open(c"/dev/null", libc::O_RDWR, 0)) else {
        return;
    };
    let one_more = |_| file::dup(null).is_ok();
    grow(
        bench,
        &["files:open-close", "files:fork-exit-wait"],
        one_more,
        |name, shown| match name {
            "files:open-close" => bench.time(shown, || {
                file::fd(file::open(c"scale", libc::O_RDONLY, 0))
                    .is_ok_and(|fd| file::close(fd).is_ok())
            }),
            _ => bench.time(shown, || child::wait(child::start(|| 0)).is_ok()),
        },
    );
}

fn timers(bench: &Bench<'_>) {
    let set = |fd: i32, seconds: i64| {
        // SAFETY: all zero is a valid itimerspec, and the call reads one.
        unsafe {
            let mut value: libc::itimerspec = std::mem::zeroed();
            value.it_value.tv_sec = seconds;
            libc::timerfd_settime(fd, 0, &raw const value, std::ptr::null_mut()) == 0
        }
    };
    // SAFETY: no pointers.
    let make = || unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, 0) };
    let one = make();
    let one_more = |at: usize| {
        let fd = make();
        fd >= 0 && set(fd, 5000 + i64::try_from(at % 977).unwrap_or(0))
    };
    grow(bench, &["timers:set"], one_more, |_, shown| {
        bench.time(shown, || set(one, 5500))
    });
}

fn names(bench: &Bench<'_>) {
    let _ = file::mkdir(c"crowd", 0o755);
    let one_more = |at: usize| {
        let name = CString::new(format!("crowd/name-{at}")).unwrap_or_default();
        let fd = file::fd(file::open(&name, libc::O_CREAT | libc::O_WRONLY, 0o644));
        fd.is_ok_and(|fd| file::close(fd).is_ok())
    };
    // SAFETY: all zero is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    let operations = ["names:stat", "names:create-unlink"];
    grow(bench, &operations, one_more, |name, shown| match name {
        "names:stat" => bench.time(shown, || file::stat(c"crowd/name-0", &mut stat).is_ok()),
        _ => bench.time(shown, || {
            file::fd(file::open(
                c"crowd/new",
                libc::O_CREAT | libc::O_WRONLY,
                0o644,
            ))
            .is_ok_and(|fd| file::close(fd).is_ok() && file::unlink(c"crowd/new").is_ok())
        }),
    });
}

fn mappings(bench: &Bench<'_>) {
    // Neighbours differ, so that none become one.
    let mut kept = Vec::new();
    let one_more = |at: usize| {
        let rights = if at.is_multiple_of(2) {
            libc::PROT_READ
        } else {
            libc::PROT_READ | libc::PROT_WRITE
        };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let map = Map::new(4096, rights, flags, -1, 0);
        map.map(|map| kept.push(map)).is_ok()
    };
    let operations = ["mappings:mmap-munmap", "mappings:touch", "mappings:brk"];
    let start = memory::brk(0);
    grow(bench, &operations, one_more, |name, shown| match name {
        "mappings:mmap-munmap" => bench.time(shown, || Map::anon(65536).is_ok()),
        "mappings:touch" => bench.time(shown, || {
            Map::anon(4096).is_ok_and(|map| {
                map.set(0, 1);
                true
            })
        }),
        _ => bench.time(shown, || {
            memory::brk(start + 65536) == start + 65536 && memory::brk(start) == start
        }),
    });
}

fn processes(bench: &Bench<'_>) {
    let (read, write) = file::pipe();
    let mut pids = Vec::new();
    let one_more = |_| match process::fork() {
        Ok(0) => {
            let _ = file::close(write);
            let _ = file::read(read, &mut [0]);
            process::exit(0)
        }
        Ok(pid) => {
            pids.push(pid as i32);
            true
        }
        Err(_) => false,
    };
    let operations = ["processes:fork-exit-wait", "processes:kill-0"];
    let own = process::getpid().unwrap_or(0);
    grow(bench, &operations, one_more, |name, shown| match name {
        "processes:kill-0" => bench.time(shown, || signal::kill(own as i32, 0).is_ok()),
        _ => bench.time(shown, || child::wait(child::start(|| 0)).is_ok()),
    });
    let _ = file::close(write);
    for pid in pids {
        let _ = child::wait(pid);
    }
}

/// Threads that wait for one word, while another is woken and the scheduler is asked.
fn waiters(bench: &Bench<'_>) {
    let word = Arc::new(AtomicU32::new(0));
    let one_more = |_| {
        let word = Arc::clone(&word);
        let waits = move || {
            while word.load(SeqCst) == 0 {
                let _ = futex(&word, libc::FUTEX_WAIT, 0);
            }
        };
        std::thread::Builder::new()
            .stack_size(16384)
            .spawn(waits)
            .is_ok()
    };
    let other = AtomicU32::new(0);
    let operations = ["waiters:futex-wake", "waiters:sched_yield"];
    grow(bench, &operations, one_more, |name, shown| match name {
        "waiters:futex-wake" => {
            bench.time(shown, || futex(&other, libc::FUTEX_WAKE, 1) == Ok(0));
        }
        _ => bench.time(shown, || process::sched_yield().is_ok()),
    });
    // The process ends, and the threads with it.
    process::exit(0)
}
