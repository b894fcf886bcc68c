//! What counts against `RLIMIT_SIGPENDING`: signals that only look like a timer's, and the news of files, but not a timer's
//! own signal, of which one waits at most (sigqueue(3), timer_create(2), fcntl(2)).
use crate::out::{say, show};
use crate::sys::signal::{self, SET, bit};
use crate::sys::{Res, child, file, net, process, time};
use std::ffi::CStr;

const USER: u32 = 4343;
const F_SETSIG: i32 = 10;
const SI_TIMER: i32 = -2;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for part in [forged, timers, deleted, news] {
        say!("{}", child::run(|| {
            let _ = signal::block(waited());
            let most = libc::rlimit64 { rlim_cur: 3, rlim_max: 3 };
            show("limit", process::setrlimit(libc::RLIMIT_SIGPENDING, &most));
            show("user", process::setuid(USER));
            part()
        }));
    }
    0
}

const fn waited() -> u64 {
    bit(40) | bit(41) | bit(42) | bit(libc::SIGIO)
}

/// Sends what looks like the signal of timer `id`, overrun 77 times.
fn forge(sig: i32, id: i32) -> Res {
    let mut words = [0u64; 16];
    (words[1], words[2]) = (u64::from(SI_TIMER as u32), u64::from(id as u32) | 77 << 32);
    // SAFETY: siginfo_t is 128 bytes of plain data: signo, errno, code, pad, the timer's number, overrun, value.
    let info = unsafe { std::mem::transmute::<[u64; 16], libc::siginfo_t>(words) };
    signal::rt_sigqueueinfo(process::getpid().unwrap_or(0) as i32, sig, &info)
}

/// Takes all that waits; `overrun`: tells that, too.
fn take(overrun: bool) {
    let none = time::spec(0, 0);
    loop {
        let mut info = signal::info();
        match signal::rt_sigtimedwait(&waited(), Some(&mut info), Some(&none), SET) {
            Ok(sig) if overrun => {
                // SAFETY: any bytes are numbers.
                let words = unsafe { *std::ptr::from_ref(&info).cast::<[u32; 8]>() };
                say!("{sig}: code {} overrun {}", info.si_code, words[5]);
            }
            Ok(sig) => say!("{sig}: code {}", info.si_code),
            Err(errno) => return say!("{errno}"),
        }
    }
}

fn forged() -> i32 {
    for _ in 0..5 {
        show("forged", forge(40, 0));
    }
    take(true);
    0
}

fn timer(sig: i32) -> i32 {
    let mut id = 0;
    let event = [0, sig as u64, 0, 0, 0, 0, 0, 0];
    show("timer", time::timer_create(libc::CLOCK_MONOTONIC, Some(&event), &mut id));
    id
}

fn run_out(id: i32) {
    show("run", time::timer_settime(id, 0, &[0, 0, 0, 1_000_000], None));
    let _ = time::sleep_ms(20);
}

fn timers() -> i32 {
    let id = timer(41);
    for _ in 0..4 {
        run_out(id);
    }
    // The timer's place is taken, its signal takes none.
    for _ in 0..3 {
        show("forged", forge(42, id));
    }
    run_out(id);
    take(false);
    show("forged", forge(42, id));
    take(true);
    0
}

/// Places of timers that are gone come back.
fn deleted() -> i32 {
    for _ in 0..5 {
        let id = timer(41);
        show("delete", time::timer_delete(id));
    }
    for _ in 0..4 {
        show("forged", forge(42, 0));
    }
    0
}

fn news() -> i32 {
    let (one, two) = net::pair(libc::SOCK_STREAM);
    let me = process::getpid().unwrap_or(0) as usize;
    show("own", file::fcntl(one, libc::F_SETOWN, me));
    show("signal", file::fcntl(one, F_SETSIG, 40));
    show("flags", file::fcntl(one, libc::F_SETFL, (libc::O_NONBLOCK | libc::O_ASYNC) as usize));
    for _ in 0..5 {
        let _ = file::write(two, b"x");
        let _ = file::read(one, &mut [0; 1]);
    }
    // A signal of its own when there is no room: the news are that one can't tell.
    take(false);
    0
}
