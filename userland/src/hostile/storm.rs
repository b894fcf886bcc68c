//! Threads that make random calls at the same time on the same memory and descriptors, `storm [root] [SEED] [SECONDS]`:
//! nothing is said of the answers, but the machine must be there afterwards. It is for a machine of one's own; `root`
//! keeps the rights.
//!
//! Each worker process is killed after a moment, whatever it has done to itself, and the next one goes on with other
//! numbers. The arguments are such that many calls do something: [`calls`] has each call's kinds.
use std::ffi::CStr;
use std::time::{Duration, Instant};

use super::calls::{self, Random};
use super::worker;
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::{self, child, process};

/// Workers at a time.
const WORKERS: usize = 3;
/// Threads of a worker.
const THREADS: u64 = 3;
/// How long a worker lives.
const LIFE: Duration = Duration::from_millis(400);

pub(crate) fn run(args: &[&CStr]) -> i32 {
    let privileged = args.contains(&c"root");
    let mut numbers = args.iter().filter_map(|arg| arg.to_str().ok()?.parse::<u64>().ok());
    let seed = numbers.next().unwrap_or(1);
    let length = Duration::from_secs(numbers.next().unwrap_or(2));
    let dir = Scratch::enter();
    if let Ok(name) = std::ffi::CString::new(dir.path()) {
        let _ = sys::file::chown(&name, worker::user(), worker::user());
    }
    let started = Instant::now();
    let mut round = seed << 32;
    while started.elapsed() < length {
        for _ in 0..WORKERS {
            round += 1;
            child::start(|| work(round, privileged));
        }
        std::thread::sleep(LIFE);

        end_all(privileged);
    }
    say!("still here");
    0
}

/// Kills the workers and what they left, and waits for what is this process's.
fn end_all(privileged: bool) {
    // `kill(-1)` spares its caller: with rights that must be this process, without a user's own.
    let everybody = [usize::MAX, libc::SIGKILL as usize, 0, 0, 0, 0];
    let kill = || {
        // SAFETY: signals touch none of this process's memory.
        let _ = unsafe { sys::call(libc::SYS_kill, everybody) };
    };
    if privileged {
        kill();
    } else {
        child::start(|| {
            let user = worker::user();
            if process::setresuid(user, user, user).is_ok() {
                kill();
            }
            0
        });
    }
    while process::wait4(-1, None, 0, None).is_ok() {}
}

/// In the child: threads that call until somebody ends them.
fn work(seed: u64, privileged: bool) -> i32 {
    if worker::prepare(privileged).is_err() || calls::map().is_err() {
        return 99;
    }
    calls::open_more();
    for number in 1..THREADS {
        let _ = std::thread::Builder::new().spawn(move || storm(seed, number, privileged));
    }
    storm(seed, 0, privileged)
}

fn storm(seed: u64, thread: u64, privileged: bool) -> i32 {
    let mut random = Random::new(seed * THREADS + thread);
    let me = process::gettid();
    loop {
        let (number, args) = random.call(privileged);
        // SAFETY: it may break this process's memory, of which it then dies; nobody waits for its word.
        let _ = unsafe { sys::raw(number, args) };
        // A child goes on for a while; then there would be too many.
        if process::gettid() != me && random.below(8) == 0 {
            process::exit_thread(0);
        }
    }
}
