//! Of those who sleep on a word the most urgent wakes first, and whoever came first of equals (futex(2)
//! sorts them so; sem_post(3) and pthread_mutex_unlock(3p) rest on it).
use crate::out::say;
use crate::sys::futex::{wait, wake};
use crate::sys::sched::sched_setscheduler;
use crate::sys::{process, task};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::SeqCst};

static WORD: AtomicU32 = AtomicU32::new(0);

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let levels = [0, 5, 0, 30, 5, 60];
    let woken = [const { AtomicI32::new(0) }; 6];
    let order = AtomicI32::new(0);
    std::thread::scope(|scope| {
        for (level, woken) in levels.into_iter().zip(&woken) {
            let tid = AtomicI32::new(0);
            let (tid, order) = (&*Box::leak(Box::new(tid)), &order);
            scope.spawn(move || {
                tid.store(process::gettid().unwrap_or(0) as i32, SeqCst);
                if level > 0 {
                    let _ = sched_setscheduler(0, libc::SCHED_FIFO, Some(&level));
                }
                while wait(&WORD, 0).is_err() {}
                woken.store(order.fetch_add(1, SeqCst) + 1, SeqCst);
            });
            task::until_asleep_there(tid);
        }
        for turn in 1..=6 {
            let _ = wake(&WORD, 1);
            while order.load(SeqCst) < turn {
                std::thread::yield_now();
            }
        }
    });
    for (level, woken) in levels.into_iter().zip(&woken) {
        say!("priority {level}: woken as number {}", woken.load(SeqCst));
    }
    0
}
