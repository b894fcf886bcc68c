//! What a thread's time is spent on: user mode, the kernel, waiting for a CPU ([`Times`]), and how often it
//! left the CPU.
//!
//! [`cpu`](crate::sched::cpu) says when it goes on and off its CPU, the system call room's loop when it enters and
//! leaves user mode. Its virtual time follows what it ran.

use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::runqueue;

use super::Thread;
use crate::arch::time;
use crate::sched::budget;

/// Time spent, and how often it left the CPU.
#[derive(Default)]
pub(in crate::sched) struct Times {
    /// In user mode.
    user: Meter,
    /// On a CPU.
    running: Meter,
    /// How much of that the virtual time knows.
    known: AtomicU64,
    /// Times it gave the CPU up by itself.
    pub(in crate::sched) voluntary: AtomicU64,
    /// Times it was made to.
    pub(in crate::sched) involuntary: AtomicU64,
    /// User and system time that its CPUs' counts have in them already.
    pub(in crate::sched) booked: (AtomicU64, AtomicU64),
    /// When it went into a run queue; 0: it isn't in one.
    pub(in crate::sched) queued: AtomicU64,
    /// How long it has waited in run queues.
    pub(in crate::sched) waited: AtomicU64,
    /// Times it went on a CPU.
    pub(in crate::sched) turns: AtomicU64,
    /// Bytes read from disks for it, and bytes of pages that it made dirty.
    disk: [AtomicU64; 2],
}

/// Adds up the cycles of stretches of time, in one word: the sum while none is under way, and the sum
/// less the TSC at its start, which is negative, during one. So whoever looks sees both or neither of
/// two things that change together, and the time goes on while nobody counts.
///
/// Only the CPU that the thread runs on starts and ends a stretch, so loads and stores are enough.
#[derive(Default)]
struct Meter(AtomicU64);

impl Meter {
    /// A stretch begins at `now`.
    #[inline]
    fn start(&self, now: u64) {
        let word = self.0.load(Ordering::Relaxed);
        self.0.store(word.wrapping_sub(now), Ordering::Relaxed);
    }

    /// It ends.
    #[inline]
    fn stop(&self, now: u64) {
        let word = self.0.load(Ordering::Relaxed);
        self.0.store(word.wrapping_add(now), Ordering::Relaxed);
    }

    /// The sum at `now`.
    fn read(&self, now: u64) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        let sum = if word.cast_signed() < 0 {
            word.wrapping_add(now)
        } else {
            word
        };
        // Another CPU's TSC may be a few cycles behind.
        sum.cast_signed().max(0).cast_unsigned()
    }
}

impl Thread {
    /// The processor time it has used up to now, in user mode and in the kernel, in nanoseconds.
    pub(crate) fn cpu_times(&self) -> (u64, u64) {
        self.cpu_times_at(time::cycles())
    }

    /// The same when the TSC is `cycles`.
    pub(in crate::sched) fn cpu_times_at(&self, cycles: u64) -> (u64, u64) {
        // In this order: user mode is a part of what comes after, which goes on meanwhile.
        let user = time::cycles_to_ns(self.times.user.read(cycles));
        let running = time::cycles_to_ns(self.times.running.read(cycles));
        (user, running.saturating_sub(user))
    }

    /// Bytes were read from a disk for it.
    pub(crate) fn count_read(&self, bytes: u64) {
        let [read, _] = &self.times.disk;
        read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes are to go to a disk because of it.
    pub(crate) fn count_written(&self, bytes: u64) {
        let [_, written] = &self.times.disk;
        written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Does what reads and writes for a disk that is a file itself: bytes that are counted for that aren't twice.
    pub(crate) fn uncounted<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = self.disk_bytes();
        let done = work();
        for (count, before) in self.times.disk.iter().zip(before) {
            count.store(before, Ordering::Relaxed);
        }
        done
    }

    /// Both sums.
    pub(crate) fn disk_bytes(&self) -> [u64; 2] {
        self.times
            .disk
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed))
    }

    /// How often it gave up the CPU by itself, and how often it had to.
    pub(crate) fn switches(&self) -> (u64, u64) {
        let times = &self.times;
        (
            times.voluntary.load(Ordering::Relaxed),
            times.involuntary.load(Ordering::Relaxed),
        )
    }

    /// How long it has waited for CPUs, in nanoseconds, and how often it went on one.
    pub(crate) fn turns(&self) -> (u64, u64) {
        let times = &self.times;
        (
            times.waited.load(Ordering::Relaxed),
            times.turns.load(Ordering::Relaxed),
        )
    }

    /// The program runs from now on.
    #[inline]
    pub(crate) fn enter_user(&self) {
        self.times.user.start(time::cycles());
    }

    /// The kernel runs from now on.
    #[inline]
    pub(crate) fn leave_user(&self) {
        self.times.user.stop(time::cycles());
    }

    /// It goes on a CPU, which is its from the TSC `since` on.
    pub(in crate::sched) fn start_running(&self, since: u64) {
        self.times.running.start(since);
    }

    /// It leaves its CPU, when the TSC is `cycles`.
    pub(in crate::sched) fn stop_running(&self, cycles: u64) {
        self.times.running.stop(cycles);
        self.advance(cycles);
    }

    /// Lets its virtual time follow the time it has run when the TSC is `cycles`.
    pub(in crate::sched) fn advance(&self, cycles: u64) {
        let known = self.times.known.load(Ordering::Relaxed);
        let sum = self.times.running.read(cycles).max(known);
        self.times.known.store(sum, Ordering::Relaxed);
        let ran = time::cycles_to_ns(sum - known);
        budget::charge(self, ran);
        let weight = self.weight.load(Ordering::Relaxed);
        let time = self.virtual_time.load(Ordering::Relaxed) + runqueue::virtual_time(ran, weight);
        self.virtual_time.store(time, Ordering::Relaxed);
    }
}
