//! Children that make the calls: as a user whom nobody else is, with small limits, in a directory
//! and a session of their own, one after another until one dies of a call or waits in it.

use super::arena;
use crate::sys::memory::Map;
use crate::sys::{self, Errno, child, process};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// One call.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) number: usize,
    pub(super) args: [usize; 6],
}

/// Most calls of one [`run`].
const MOST: usize = 511;
/// A call without an answer for this long is one that hangs.
const HANGS_AFTER: std::time::Duration = std::time::Duration::from_secs(60);
/// What a slot says before its call has answered.
const UNANSWERED: i64 = i64::MIN;

/// What a worker and its supervisor share: how many calls have begun, and the answers.
struct Board<'a> {
    begun: &'a AtomicUsize,
    answers: &'a [AtomicI64],
}

/// Makes all calls and tells each one's answer.
pub(super) fn run(calls: &[Call], privileged: bool) -> Vec<String> {
    assert!(calls.len() <= MOST);
    let shared = libc::MAP_SHARED;
    let Ok(map) = Map::new(4096, libc::PROT_READ | libc::PROT_WRITE, shared, -1, 0) else {
        return vec![String::from("no memory")];
    };
    // SAFETY: the mapping is page-aligned, large enough, zeroed, and lives as long as the board.
    let board = unsafe {
        Board {
            begun: &*(map.addr as *const AtomicUsize),
            answers: std::slice::from_raw_parts((map.addr + 8) as *const AtomicI64, MOST),
        }
    };
    let mut told = Vec::new();
    while told.len() < calls.len() {
        let from = told.len();
        board.begun.store(from, Ordering::SeqCst);
        for answer in board.answers {
            answer.store(UNANSWERED, Ordering::SeqCst);
        }
        let pid = child::start(|| work(calls, from, &board, privileged));
        if pid == 0 {
            told.push(String::from("no child"));
            continue;
        }
        let end = supervise(pid, &board);
        let begun = board.begun.load(Ordering::SeqCst);
        for (call, answer) in calls.iter().zip(board.answers).take(begun).skip(from) {
            match answer.load(Ordering::SeqCst) {
                UNANSWERED => told.push(end.clone()),
                value => told.push(shown(call, value)),
            }
        }
        if told.len() == from {
            told.push(format!("nothing begun, {end}"));
        }
    }
    told
}

/// The error's name, or the value as far as it is the same everywhere.
fn shown(call: &Call, value: i64) -> String {
    match sys::decode(value as isize) {
        Err(Errno(errno)) => Errno(errno).to_string(),
        Ok(value) if value <= 200 && !VARIES.contains(&(call.number as i64)) => value.to_string(),
        Ok(_) => String::from("ok"),
    }
}

/// Calls whose small answers are PIDs, lengths of names with PIDs, times, or somebody else's setting.
const VARIES: [i64; 11] = [
    libc::SYS_getcwd,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getppid,
    libc::SYS_getpgrp,
    libc::SYS_getpgid,
    libc::SYS_getsid,
    libc::SYS_setsid,
    libc::SYS_set_tid_address,
    libc::SYS_ioprio_get,
    libc::SYS_getpriority,
];

/// Waits for the worker's end, and brings it about when a call waits or hangs.
fn supervise(pid: i32, board: &Board<'_>) -> String {
    let mut seen = (usize::MAX, 0, std::time::Instant::now());
    loop {
        let mut status = 0;
        match process::wait4(
            pid,
            Some(&mut status),
            libc::WNOHANG | libc::WUNTRACED,
            None,
        ) {
            Ok(0) => {}
            Ok(_) if libc::WIFSTOPPED(status) => {
                kill(pid);
                let _ = child::wait(pid);
                return child::Status(status).to_string();
            }
            Ok(_) => return child::Status(status).to_string(),
            Err(errno) => return errno.to_string(),
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
        let begun = board.begun.load(Ordering::SeqCst);
        if begun != seen.0 {
            seen = (begun, 0, std::time::Instant::now());
        } else if is_asleep(pid) {
            seen.1 += 1;
        } else {
            seen.1 = 0;
        }
        let waits = seen.1 >= 4;
        if waits || seen.2.elapsed() > HANGS_AFTER {
            kill(pid);
            let _ = child::wait(pid);
            return String::from(if waits { "waits" } else { "hangs" });
        }
    }
}

fn is_asleep(pid: i32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.iter().rposition(|b| *b == b')').unwrap_or(0);
    stat.get(after + 2) == Some(&b'S')
}

fn kill(pid: i32) {
    // SAFETY: signals touch none of this process's memory.
    let _ = unsafe {
        sys::call(
            libc::SYS_kill,
            [pid as usize, libc::SIGKILL as usize, 0, 0, 0, 0],
        )
    };
}

/// In the child: everything from the `from`th call on.
fn work(calls: &[Call], from: usize, board: &Board<'_>, privileged: bool) -> i32 {
    if prepare(privileged).is_err() {
        return 99;
    }
    let me = (process::getpid(), process::gettid());
    for (at, call) in calls.iter().enumerate().skip(from) {
        arena::refill();
        board.begun.store(at + 1, Ordering::SeqCst);
        // SAFETY: it may break this child's memory, which then ends with that as its answer.
        let answer = unsafe { sys::raw(call.number as i64, call.args) };
        if makes_tasks(call.number) && me != (process::getpid(), process::gettid()) {
            process::exit_thread(0);
        }
        if let Some(slot) = board.answers.get(at) {
            slot.store(answer as i64, Ordering::SeqCst);
        }
    }
    0
}

fn makes_tasks(number: usize) -> bool {
    [libc::SYS_clone, libc::SYS_fork, libc::SYS_clone3].contains(&(number as i64))
}

/// A user's number that nobody else has, not even another run of this test: made of the
/// supervisor's PID when it first asks.
pub(super) fn user() -> u32 {
    static USER: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *USER.get_or_init(|| 1_000_000_000 + std::process::id())
}

pub(super) fn prepare(privileged: bool) -> Result<(), Errno> {
    process::setsid()?;
    let limits = [
        (libc::RLIMIT_AS, 1 << 30),
        (libc::RLIMIT_DATA, 1 << 29),
        (libc::RLIMIT_STACK, 8 << 20),
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_CPU, 30),
        (libc::RLIMIT_FSIZE, 1 << 20),
        (libc::RLIMIT_NOFILE, 64),
        (libc::RLIMIT_MEMLOCK, 1 << 16),
        (libc::RLIMIT_SIGPENDING, 100),
        (libc::RLIMIT_MSGQUEUE, 1 << 16),
        (libc::RLIMIT_NICE, 0),
        (libc::RLIMIT_RTPRIO, 0),
        (libc::RLIMIT_NPROC, 1000),
    ];
    for (kind, value) in limits {
        let limit = libc::rlimit64 {
            rlim_cur: value,
            rlim_max: value,
        };
        process::setrlimit(kind, &limit)?;
    }
    if !privileged {
        process::setgroups(&[])?;
        process::setresgid(user(), user(), user())?;
        process::setresuid(user(), user(), user())?;
    }
    arena::open_all();
    Ok(())
}
