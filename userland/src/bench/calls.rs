//! Calls that do next to nothing: what entering the kernel costs. Signals to oneself, too.

use super::Bench;
use crate::sys::{self, file, process, signal, time};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::Relaxed};

pub(super) fn measure(bench: &Bench<'_>) {
    bench.time("getppid", || process::getppid().is_ok());
    bench.time("unknown-call", || {
        // SAFETY: no kernel has this call.
        let answer = unsafe { sys::call(999, [0; 6]) };
        answer.is_err()
    });
    let mut now = time::spec(0, 0);
    bench.time("clock_gettime-call", || {
        time::clock_gettime(libc::CLOCK_MONOTONIC, &mut now).is_ok()
    });
    bench.time("clock_gettime", || {
        // SAFETY: a timespec to write to.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) == 0 }
    });
    let mut bytes = [0; 16];
    bench.time("getrandom-16", || process::getrandom(&mut bytes, 0).is_ok());
    bench.time("sched_yield", || process::sched_yield().is_ok());
    null_and_zero(bench);
    signals(bench);
    futex_wake(bench);
    events(bench);
    // The minimal Linux finds no timer in this machine, and would sleep for ever.
    if bench.is_named("sleep-100us") {
        let pause = time::spec(0, 100_000);
        bench.time("sleep-100us", || {
            // SAFETY: a timespec to read.
            unsafe { libc::nanosleep(&raw const pause, std::ptr::null_mut()) == 0 }
        });
    }
}

fn null_and_zero(bench: &Bench<'_>) {
    let Ok(null) = file::fd(file::open(c"/dev/null", libc::O_WRONLY, 0)) else {
        return;
    };
    bench.time("write-null-1", || file::write(null, b"x").is_ok());
    let Ok(zero) = file::fd(file::open(c"/dev/zero", libc::O_RDONLY, 0)) else {
        return;
    };
    let mut page = [0; 4096];
    bench.time("read-zero-4k", || file::read(zero, &mut page).is_ok());
    bench.time("dup-close", || {
        file::fd(file::dup(null)).is_ok_and(|copy| file::close(copy).is_ok())
    });
    let _ = file::close(null);
    let _ = file::close(zero);
}

static CAUGHT: AtomicI32 = AtomicI32::new(0);

extern "C" fn count(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    CAUGHT.fetch_add(1, Relaxed);
}

/// Goes on behind the store that faulted: `mov byte ptr [rax], 0` is three bytes.
extern "C" fn skip(_: i32, _: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    context.uc_mcontext.gregs[libc::REG_RIP as usize] += 3;
}

fn signals(bench: &Bench<'_>) {
    let _ = signal::handle(libc::SIGUSR1, count, 0, 0);
    bench.time("signal-self", || signal::raise(libc::SIGUSR1).is_ok());
    let _ = signal::handle(libc::SIGSEGV, skip, 0, 0);
    bench.time("sigsegv-handled", || {
        // SAFETY: the store's fault is skipped by the handler; nothing is at that address.
        unsafe { std::arch::asm!("mov byte ptr [rax], 0", in("rax") 8usize) };
        true
    });
    let _ = signal::set(libc::SIGSEGV, signal::SIG_DFL);
}

/// One word, no waiters.
fn futex_wake(bench: &Bench<'_>) {
    let word = AtomicU32::new(0);
    bench.time("futex-wake", || futex(&word, libc::FUTEX_WAKE, 1) == Ok(0));
}

/// futex(2), private. Inlined, so that what is counted doesn't depend on how the compiler parts the program.
#[inline(always)]
pub(super) fn futex(word: &AtomicU32, operation: i32, value: u32) -> sys::Res {
    let operation = operation | libc::FUTEX_PRIVATE_FLAG;
    let args = [
        word.as_ptr() as usize,
        operation as usize,
        value as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the word is valid; there is no timeout.
    unsafe { sys::call(libc::SYS_futex, args) }
}

fn events(bench: &Bench<'_>) {
    // SAFETY: these calls take no pointers.
    let (event, poller) = unsafe { (libc::eventfd(0, 0), libc::epoll_create1(0)) };
    let mut word = [0; 8];
    bench.time("eventfd-write-read", || {
        file::write(event, &1u64.to_ne_bytes()).is_ok() && file::read(event, &mut word).is_ok()
    });
    let mut wanted = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: 1,
    };
    // SAFETY: the structure is valid.
    unsafe { libc::epoll_ctl(poller, libc::EPOLL_CTL_ADD, event, &raw mut wanted) };
    let _ = file::write(event, &1u64.to_ne_bytes());
    bench.time("epoll_wait-ready", || {
        // SAFETY: room for one event.
        unsafe { libc::epoll_wait(poller, &raw mut wanted, 1, 0) == 1 }
    });
    let mut one = [libc::pollfd {
        fd: event,
        events: libc::POLLIN,
        revents: 0,
    }];
    bench.time("poll-1-ready", || file::poll(&mut one, 0) == Ok(1));
    let _ = file::close(event);
    let _ = file::close(poller);
}
