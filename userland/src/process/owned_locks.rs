//! futex(2)'s locks with an owner, between processes over shared memory; futex_waitv(2).
use crate::out::{say, show};
use crate::sys::{self, Arg, Res, child, process, signal};
use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

const LOCK: i32 = 6;
const UNLOCK: i32 = 7;
const TRYLOCK: i32 = 8;
const WAIT_REQUEUE: i32 = 11;
const CMP_REQUEUE: i32 = 12;
const LOCK2: i32 = 13;
const TID: u32 = 0x3fff_ffff;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    // SAFETY: a fresh mapping, of which nothing else knows.
    let page = unsafe { sys::call(libc::SYS_mmap, [0, 4096, 3, 0x21, usize::MAX, 0]) };
    let Ok(page) = page else { return 1 };
    // SAFETY: page-aligned, zeroed, and mapped to the end.
    let words: &'static [AtomicU32; 16] = unsafe { &*(page as *const [AtomicU32; 16]) };
    alone(&words[0]);
    handed_over(&words[1]);
    left_behind(&words[2]);
    interrupted(&words[3]);
    moved(words);
    moved_and_interrupted(&words[6], &words[7]);
    several(words);
    left_at_exec(&words[12], page + 1024);
    0
}

/// A robust list ends with the program that made it: exec tells those who wait for its locks, as the end does.
fn left_at_exec(word: &'static AtomicU32, room: usize) {
    let end = child::run(|| {
        let own = process::gettid().unwrap_or(0) as u32;
        word.store(own, SeqCst);
        let at = std::ptr::from_ref(word) as usize;
        // `struct robust_list_head`: nothing in the list, words 8 bytes before their entries, one being taken.
        let head = [room, usize::MAX - 7, at + 8];
        // SAFETY: the page is ours, and nothing else lies there.
        unsafe { (room as *mut [usize; 3]).write(head) };
        // SAFETY: the list outlives this program in shared memory.
        let _ = unsafe { sys::call(libc::SYS_set_robust_list, [room, 24, 0, 0, 0, 0]) };
        let args = [c"x", c"--helper", c"true"];
        process::execve(c"/proc/self/exe", &args, &[]).map_or_else(|errno| errno.0, |_| 0)
    });
    say!("exec: {end}");
    tell("its lock", word);
}

fn futex(word: &AtomicU32, op: i32, value: u32, timeout: usize, second: usize, third: u32) -> Res {
    let at = std::ptr::from_ref(word) as usize;
    // SAFETY: the words and the timeout outlive the call.
    unsafe { sys::call(libc::SYS_futex, [at, op.arg(), value.arg(), timeout, second, third.arg()]) }
}

fn pause_ms(ms: i64) {
    let time = libc::timespec { tv_sec: 0, tv_nsec: ms * 1_000_000 };
    // SAFETY: the time outlives the call.
    let _ = unsafe { sys::call(libc::SYS_nanosleep, [std::ptr::from_ref(&time) as usize, 0, 0, 0, 0, 0]) };
}

/// Waits until the word has one of the bits.
fn until(word: &AtomicU32, bits: u32) {
    while word.load(SeqCst) & bits == 0 {
        pause_ms(2);
    }
}

fn tell(label: &str, word: &AtomicU32) {
    let value = word.load(SeqCst);
    let own = process::gettid().unwrap_or(0) as u32;
    let who = match value & TID {
        0 => "nobody",
        tid if tid == own => "own",
        _ => "another",
    };
    say!("{label}: {who} {:#x}", value & !TID);
}

fn alone(word: &AtomicU32) {
    show("unlock the free", futex(word, UNLOCK, 0, 0, 0, 0));
    show("lock", futex(word, LOCK, 0, 0, 0, 0));
    tell("locked", word);
    show("lock again", futex(word, LOCK, 0, 0, 0, 0));
    show("try again", futex(word, TRYLOCK, 0, 0, 0, 0));
    show("unlock", futex(word, UNLOCK, 0, 0, 0, 0));
    tell("unlocked", word);
    show("try", futex(word, TRYLOCK, 0, 0, 0, 0));
    tell("tried", word);
    word.store(0x1fff_fff0, SeqCst);
    show("lock of nobody that is", futex(word, LOCK, 0, 0, 0, 0));
    word.store(0, SeqCst);
    show("real-time clock for LOCK_PI", futex(word, LOCK | 256, 0, 0, 0, 0));
    show("unaligned", futex(word, LOCK | 0x8000, 0, 0, 0, 0));
    // SAFETY: the kernel refuses the addresses.
    show("no memory", unsafe { sys::call(libc::SYS_futex, [8, 6, 0, 0, 0, 0]) });
    // SAFETY: as above.
    show("odd", unsafe { sys::call(libc::SYS_futex, [9, 6, 0, 0, 0, 0]) });
}

fn handed_over(word: &'static AtomicU32) {
    show("lock", futex(word, LOCK2, 0, 0, 0, 0));
    let pid = child::start(|| {
        show("child tries", futex(word, TRYLOCK, 0, 0, 0, 0));
        show("child unlocks", futex(word, UNLOCK, 0, 0, 0, 0));
        let past = libc::timespec { tv_sec: 0, tv_nsec: 1 };
        let at = std::ptr::from_ref(&past) as usize;
        show("child waits until the past", futex(word, LOCK2, 0, at, 0, 0));
        let locked = futex(word, LOCK, 0, 0, 0, 0);
        pause_ms(100);
        show("child locks", locked);
        tell("child has", word);
        show("child unlocks", futex(word, UNLOCK, 0, 0, 0, 0));
        0
    });
    until(word, 1 << 31);
    pause_ms(100);
    tell("waited for", word);
    show("unlock", futex(word, UNLOCK, 0, 0, 0, 0));
    say!("{}", child::end_of(pid));
    tell("after", word);
}

fn left_behind(word: &'static AtomicU32) {
    let pid = child::start(|| {
        let _ = futex(word, LOCK, 0, 0, 0, 0);
        until(word, 1 << 31);
        pause_ms(100);
        0
    });
    until(word, TID);
    show("lock of the dying", futex(word, LOCK, 0, 0, 0, 0));
    tell("inherited", word);
    say!("{}", child::end_of(pid));
    show("unlock", futex(word, UNLOCK, 0, 0, 0, 0));
    tell("after", word);
}

fn interrupted(word: &'static AtomicU32) {
    let _ = futex(word, LOCK, 0, 0, 0, 0);
    let pid = child::start(|| {
        let _ = signal::handle(libc::SIGUSR1, handler, 0, 0);
        let locked = futex(word, LOCK, 0, 0, 0, 0);
        pause_ms(100);
        show("lock through a signal", locked);
        let _ = futex(word, UNLOCK, 0, 0, 0, 0);
        0
    });
    until(word, 1 << 31);
    pause_ms(100);
    let _ = signal::kill(pid, libc::SIGUSR1);
    pause_ms(300);
    show("unlock", futex(word, UNLOCK, 0, 0, 0, 0));
    say!("{}", child::end_of(pid));
}

extern "C" fn handler(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    crate::out::line("handled");
}

fn moved(words: &'static [AtomicU32; 16]) {
    let (from, to) = (&words[4], &words[5]);
    let second = std::ptr::from_ref(to) as usize;
    show("wait for itself", futex(to, WAIT_REQUEUE, 0, 0, second, 0));
    show("another value", futex(from, WAIT_REQUEUE, 7, 0, second, 0));
    show("wake two", futex(from, CMP_REQUEUE, 2, 0, second, 0));
    show("nobody to move", futex(from, CMP_REQUEUE, 1, 1, second, 0));
    let waits = || {
        let has = futex(from, WAIT_REQUEUE, 0, 0, second, 0);
        pause_ms(100);
        show("child has it", has);
        show("child unlocks", futex(to, UNLOCK, 0, 0, 0, 0));
        0
    };
    let first = child::start(waits);
    pause_ms(400);
    show("wake who waits for a lock", futex(from, 1, 1, 0, 0, 0));
    show("moves with another value", futex(from, CMP_REQUEUE, 1, 1, second, 9));
    show("moves", futex(from, CMP_REQUEUE, 1, 1, second, 0));
    say!("{}", child::end_of(first));
    let _ = futex(to, LOCK, 0, 0, 0, 0);
    let second_child = child::start(waits);
    pause_ms(400);
    show("moves to a held lock", futex(from, CMP_REQUEUE, 1, 1, second, 0));
    show("unlock", futex(to, UNLOCK, 0, 0, 0, 0));
    say!("{}", child::end_of(second_child));
    tell("after", to);
}

/// A signal before the move lets the call go on, one after it ends it.
fn moved_and_interrupted(from: &'static AtomicU32, to: &'static AtomicU32) {
    let second = std::ptr::from_ref(to) as usize;
    let _ = futex(to, LOCK, 0, 0, 0, 0);
    let pid = child::start(|| {
        let _ = signal::handle(libc::SIGUSR1, handler, 0, 0);
        show("signalled after the move", futex(from, WAIT_REQUEUE, 0, 0, second, 0));
        0
    });
    pause_ms(400);
    let _ = signal::kill(pid, libc::SIGUSR1);
    pause_ms(400);
    show("moves", futex(from, CMP_REQUEUE, 1, 1, second, 0));
    let _ = signal::kill(pid, libc::SIGUSR1);
    say!("{}", child::end_of(pid));
    show("unlock", futex(to, UNLOCK, 0, 0, 0, 0));
}

fn several(words: &'static [AtomicU32; 16]) {
    let list: Vec<[u64; 3]> = (8..11).map(|at| [0, std::ptr::from_ref(&words[at]) as u64, 2]).collect();
    let at = list.as_ptr() as usize;
    let wait = |at: usize, count: usize, flags: usize, timeout: usize, clock: usize| {
        // SAFETY: the list and the timeout outlive the call.
        unsafe { sys::call(449, [at, count, flags, timeout, clock, 0]) }
    };
    show("no words", wait(at, 0, 0, 0, 0));
    show("too many", wait(at, 129, 0, 0, 0));
    show("flags", wait(at, 3, 1, 0, 0));
    show("nowhere", wait(8, 1, 0, 0, 0));
    let past = libc::timespec { tv_sec: 0, tv_nsec: 1 };
    let time = std::ptr::from_ref(&past) as usize;
    show("clock", wait(at, 3, 0, time, 7));
    show("until the past", wait(at, 3, 0, time, 1));
    let odd = [[0u64, list[0][1], 0]];
    show("no size", wait(odd.as_ptr() as usize, 1, 0, 0, 0));
    let other = [[1u64, list[0][1], 2]];
    show("another value", wait(other.as_ptr() as usize, 1, 0, 0, 0));
    let pid = child::start(|| {
        let woken = wait(at, 3, 0, 0, 0);
        pause_ms(100);
        show("woken by", woken);
        0
    });
    pause_ms(400);
    show("wake", futex(&words[9], 1, 9, 0, 0, 0));
    say!("{}", child::end_of(pid));
}
