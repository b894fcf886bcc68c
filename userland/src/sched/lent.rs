//! Locks with an owner lend priority (futex(2), "Priority-inheritance futexes"): who owns one is as urgent
//! as who waits for it, through chains of owners, until it unlocks.
use crate::out::say;
use crate::sys::sched::sched_setscheduler;
use crate::sys::{process, task};
use crate::sys::futex::{lock_pi, unlock_pi};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::SeqCst};

static OUTER: AtomicU32 = AtomicU32::new(0);
static INNER: AtomicU32 = AtomicU32::new(0);

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let me = process::gettid().unwrap_or(0) as i32;
    let priority = |label: &str| say!("{label}: {:?}", task::stat(me, 18));
    priority("at first");
    say!("outer {:?}", lock_pi(&OUTER));
    let middle = AtomicI32::new(0);
    let high = AtomicI32::new(0);
    let (unlocked, after) = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Takes the inner lock, then waits for the outer one.
            let inner = lock_pi(&INNER);
            started(&middle, 10);
            let outer = lock_pi(&OUTER);
            let own = task::stat(process::gettid().unwrap_or(0) as i32, 18);
            say!("middle has {inner:?} {outer:?} at {own:?}");
            let _ = unlock_pi(&OUTER);
            let _ = unlock_pi(&INNER);
        });
        task::until_asleep_there(&middle);
        priority("one waits");
        scope.spawn(|| {
            started(&high, 40);
            let inner = lock_pi(&INNER);
            say!("high has {inner:?}");
            let _ = unlock_pi(&INNER);
        });
        task::until_asleep_there(&high);
        priority("one waits for who waits");
        say!("its own: {:?}", task::stat(middle.load(SeqCst), 18));
        let _ = sched_setscheduler(high.load(SeqCst), libc::SCHED_FIFO, Some(&60));
        priority("that one is raised");
        let _ = sched_setscheduler(high.load(SeqCst), libc::SCHED_OTHER, Some(&0));
        priority("that one is none of them any more");
        let _ = sched_setscheduler(high.load(SeqCst), libc::SCHED_FIFO, Some(&30));
        priority("and again");
        let unlocked = unlock_pi(&OUTER);
        (unlocked, task::stat(me, 18))
    });
    say!("unlocked: {unlocked:?} {after:?}");
    priority("at the end");
    0
}

/// A thread says its number and takes a priority.
fn started(tid: &AtomicI32, level: i32) {
    tid.store(process::gettid().unwrap_or(0) as i32, SeqCst);
    let _ = sched_setscheduler(0, libc::SCHED_FIFO, Some(&level));
}
