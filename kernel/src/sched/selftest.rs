//! Tests of the scheduler in the machine itself: `selftest=sched`.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use super::{
    Mode, Mutex, Poller, WaitQueue, Wake, current, resched, sleep_until, spawn, yield_now,
};
use crate::arch::time::now_ns;

const MS: u64 = 1_000_000;

/// Runs all of them; a failed one is a kernel panic.
pub(crate) fn run() {
    threads_take_turns();
    deadlines_are_kept();
    a_mutex_is_held_by_one();
    busy_threads_share();
    a_poller_hears_every_queue();
    many_threads_come_and_go();
}

/// Spawns a thread or fails.
fn go(body: impl FnOnce() + Send + 'static) {
    assert!(spawn(b"test", Box::new(body)).is_ok());
}

#[derive(Default)]
struct Shared {
    value: AtomicU64,
    queue: WaitQueue,
}

impl Shared {
    fn add(&self, more: u64) {
        self.value.fetch_add(more, Ordering::Relaxed);
        self.queue.wake_all();
    }

    fn wait_for(&self, value: u64) {
        let reached = || (self.value.load(Ordering::Relaxed) >= value).then_some(());
        let deadline = Some(now_ns() + 5_000 * MS);
        let waited = self.queue.wait(Mode::Uninterruptible, deadline, reached);
        assert_eq!(waited, Ok(()));
    }
}

fn threads_take_turns() {
    let shared = Arc::new(Shared::default());
    let theirs = Arc::clone(&shared);
    go(move || {
        for round in 0..1000 {
            theirs.wait_for(2 * round + 1);
            theirs.add(1);
        }
    });
    for round in 0..1000 {
        shared.add(1);
        shared.wait_for(2 * round + 2);
    }
}

fn deadlines_are_kept() {
    let start = now_ns();
    assert_eq!(
        sleep_until(Mode::Uninterruptible, Some(start + 5 * MS)),
        Ok(())
    );
    assert!((start + 5 * MS..start + 500 * MS).contains(&now_ns()));
    let queue = WaitQueue::new();
    let never = || None::<()>;
    let waited = queue.wait(Mode::Interruptible, Some(now_ns() + MS), never);
    assert_eq!(waited, Err(Wake::Timeout));
    assert!(queue.is_empty());
}

fn a_mutex_is_held_by_one() {
    let counter = Arc::new(Mutex::new(0u64));
    let done = Arc::new(Shared::default());
    for _ in 0..4 {
        let (counter, done) = (Arc::clone(&counter), Arc::clone(&done));
        go(move || {
            for _ in 0..100 {
                let mut counter = counter.lock();
                let value = *counter;
                yield_now();
                *counter = value + 1;
            }
            done.add(1);
        });
    }
    done.wait_for(4);
    assert_eq!(*counter.lock(), 400);
}

/// The host may stop the machine in one thread's slice and not in another's: of a few rounds one
/// must be even.
fn busy_threads_share() {
    let even = |counts: &[u64; 3]| {
        let (least, most) = (counts.iter().min(), counts.iter().max());
        least
            .zip(most)
            .is_some_and(|(least, most)| *least * 3 > *most)
    };
    let mut counts = [0; 3];
    for _ in 0..5 {
        counts = work_of_busy_threads();
        if even(&counts) {
            return;
        }
    }
    assert!(even(&counts), "{counts:?}");
}

/// How far each of three threads gets in 100 ms.
fn work_of_busy_threads() -> [u64; 3] {
    let done = Arc::new(Shared::default());
    let counts: Arc<[AtomicU64; 3]> = Arc::default();
    let end = now_ns() + 100 * MS;
    for at in 0..3 {
        let (counts, done) = (Arc::clone(&counts), Arc::clone(&done));
        go(move || {
            // All on one CPU, of however many.
            current().set_allowed(1);
            resched();
            while now_ns() < end {
                if let Some(count) = counts.get(at) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                resched();
            }
            done.add(1);
        });
    }
    done.wait_for(3);
    [0, 1, 2].map(|at| {
        counts
            .get(at)
            .map_or(0, |count: &AtomicU64| count.load(Ordering::Relaxed))
    })
}

fn a_poller_hears_every_queue() {
    let queues = [Arc::new(WaitQueue::new()), Arc::new(WaitQueue::new())];
    for queue in &queues {
        let Ok(mut poller) = Poller::new() else {
            return;
        };
        queues.iter().for_each(|queue| poller.add(queue));
        let timeout = poller.wait(Some(now_ns() + MS), Mode::Interruptible);
        assert_eq!(timeout, Err(Wake::Timeout));
        let theirs = Arc::clone(queue);
        go(move || theirs.wake_all());
        let deadline = Some(now_ns() + 5_000 * MS);
        assert_eq!(poller.wait(deadline, Mode::Interruptible), Ok(()));
    }
    assert!(queues.iter().all(|queue| queue.is_empty()));
}

fn many_threads_come_and_go() {
    let done = Arc::new(Shared::default());
    for _ in 0..20 {
        for _ in 0..10 {
            let done = Arc::clone(&done);
            go(move || {
                sleep_until(Mode::Uninterruptible, Some(now_ns() + MS / 10)).ok();
                done.add(1);
            });
        }
        yield_now();
    }
    done.wait_for(200);
}
