//! [`Pending`]: signals sent and not yet delivered, of one thread or of a whole process.

use super::{SigInfo, SigSet, Signal};
use crate::errno::Errno;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// How many entries all queues have together.
static QUEUED: AtomicUsize = AtomicUsize::new(0);

/// How many signals are queued anywhere, for whomever: no user has more.
#[must_use]
pub fn queued_anywhere() -> usize {
    QUEUED.load(Ordering::Relaxed)
}

/// A queue of signals. A standard signal stands in it once at most; real-time signals each
/// time they were sent, in that order.
#[derive(Debug, Default)]
pub struct Pending {
    set: SigSet,
    queue: Vec<SigInfo>,
}

impl Pending {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            set: SigSet::EMPTY,
            queue: Vec::new(),
        }
    }

    /// The signals in it.
    #[must_use]
    pub const fn set(&self) -> SigSet {
        self.set
    }

    /// How many entries count against `RLIMIT_SIGPENDING`: a timer's has a place of its own.
    #[must_use]
    pub fn counted(&self) -> usize {
        let entries = self.queue.iter();
        entries.filter(|info| !info.is_by_timer()).count()
    }

    /// Whether nothing is pending.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// The entries, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &SigInfo> {
        self.queue.iter()
    }

    /// Adds a signal. `limit` is how many entries may be queued. A timer has one entry, which takes the new story when
    /// it is still there.
    ///
    /// When there is no room, a standard signal and one of kill(2) still becomes pending, without its story, as on Linux.
    ///
    /// # Errors
    /// `EAGAIN` when any other real-time signal finds no room: then it isn't pending by this call.
    pub fn push(&mut self, info: SigInfo, limit: usize) -> Result<(), Errno> {
        let signal = info.signal;
        if !signal.is_realtime() && self.set.contains(signal) {
            return Ok(());
        }
        if info.is_by_timer()
            && let Some(entry) = self.timer_entry(signal, info.pid())
        {
            *entry = info;
            return Ok(());
        }
        let has_room = !info.needs_room() || self.queue.len() < limit;
        if has_room && self.queue.try_reserve(1).is_ok() {
            self.queue.push(info);
            QUEUED.fetch_add(1, Ordering::Relaxed);
        } else if signal.is_realtime() && info.code != 0 {
            return Err(Errno::EAGAIN);
        }
        self.set = self.set.with(signal);
        Ok(())
    }

    /// Takes the signal to deliver first among those not in `blocked`.
    #[inline]
    pub fn take(&mut self, blocked: SigSet) -> Option<SigInfo> {
        let signal = self.set.minus(blocked).first()?;
        Some(self.take_signal(signal))
    }

    /// Takes the oldest entry of this signal.
    #[inline(never)]
    fn take_signal(&mut self, signal: Signal) -> SigInfo {
        let at = self.queue.iter().position(|info| info.signal == signal);
        let info = match at {
            Some(at) => {
                QUEUED.fetch_sub(1, Ordering::Relaxed);
                self.queue.remove(at)
            }
            None => SigInfo::user(signal, 0, 0, 0),
        };
        if !self.queue.iter().any(|info| info.signal == signal) {
            self.set = self.set.without(signal);
        }
        info
    }

    /// Forgets these signals.
    pub fn discard(&mut self, signals: SigSet) {
        if self.set.intersection(signals).is_empty() {
            return;
        }
        self.set = self.set.minus(signals);
        let before = self.queue.len();
        self.queue.retain(|info| !signals.contains(info.signal));
        QUEUED.fetch_sub(before - self.queue.len(), Ordering::Relaxed);
    }

    /// Lets the entries of timers that are gone count like any other's.
    pub fn release_timers(&mut self, is_gone: impl Fn(u32) -> bool) {
        let entries = self.queue.iter_mut();
        for info in entries.filter(|info| info.is_by_timer() && is_gone(info.pid())) {
            info.release_timer();
        }
    }

    /// The entry of the timer of this number.
    fn timer_entry(&mut self, signal: Signal, id: u32) -> Option<&mut SigInfo> {
        let mut entries = self.queue.iter_mut();
        entries.find(|info| info.is_by_timer() && info.signal == signal && info.pid() == id)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        QUEUED.fetch_sub(self.queue.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rt(number: u32, value: u64) -> SigInfo {
        SigInfo::queued(Signal::new(number).unwrap(), -1, 1, 0, value)
    }

    #[test]
    fn standard_once_realtime_each() {
        let mut pending = Pending::new();
        for _ in 0..3 {
            pending.push(SigInfo::kernel(Signal::USR1), 10).unwrap();
        }
        for value in 0..3 {
            pending.push(rt(40, value), 10).unwrap();
        }
        assert_eq!(pending.counted(), 4);
        assert_eq!(pending.take(SigSet::EMPTY).unwrap().signal, Signal::USR1);
        for value in 0..3 {
            assert_eq!(pending.take(SigSet::EMPTY).unwrap().value(), value);
        }
        assert!(pending.is_empty());
        assert_eq!(pending.take(SigSet::EMPTY), None);
    }

    #[test]
    fn blocked_stays() {
        let mut pending = Pending::new();
        pending.push(SigInfo::kernel(Signal::USR1), 10).unwrap();
        assert_eq!(pending.take(SigSet::of(&[Signal::USR1])), None);
        assert!(pending.set().contains(Signal::USR1));
        pending.discard(SigSet::of(&[Signal::USR1]));
        assert!(pending.is_empty());
    }

    #[test]
    fn only_a_timer_s_own_entry_is_free_and_once() {
        let signal = Signal::new(40).unwrap();
        let mut pending = Pending::new();
        for value in 0..3 {
            pending
                .push(SigInfo::timer(signal, 7, 0, value), 0)
                .unwrap();
        }
        pending.push(SigInfo::timer(signal, 8, 0, 9), 0).unwrap();
        assert_eq!((pending.counted(), pending.iter().count()), (0, 2));
        let forged = SigInfo::queued(signal, crate::abi::SI_TIMER, 7, 0, 5);
        pending.push(forged, 3).unwrap();
        assert_eq!(pending.push(forged, 3), Err(Errno::EAGAIN));
        assert_eq!(pending.counted(), 1);
        pending.release_timers(|id| id == 8);
        assert_eq!(pending.counted(), 2);
        let values = [2, 9, 5].map(Some);
        assert_eq!(
            values,
            [(); 3].map(|()| pending.take(SigSet::EMPTY).map(|info| info.value()))
        );
    }

    #[test]
    fn news_of_files_are_limited() {
        let mut pending = Pending::new();
        let news = |signal| SigInfo::poll(Signal::new(signal).unwrap(), 1, 1, 3);
        pending.push(news(40), 1).unwrap();
        assert_eq!(pending.push(news(40), 1), Err(Errno::EAGAIN));
        pending.push(news(29), 1).unwrap();
        assert_eq!(pending.counted(), 2);
    }

    #[test]
    fn limit_refuses_queued_realtime_only() {
        let mut pending = Pending::new();
        pending.push(rt(40, 0), 1).unwrap();
        assert_eq!(pending.push(rt(40, 1), 1), Err(Errno::EAGAIN));
        // kill(2) with a real-time signal is never refused; only its story is lost.
        let killed = SigInfo::user(Signal::new(41).unwrap(), 0, 5, 0);
        pending.push(killed, 1).unwrap();
        assert!(pending.set().contains(Signal::new(41).unwrap()));
        pending
            .push(SigInfo::user(Signal::TERM, 0, 5, 0), 1)
            .unwrap();
        assert_eq!(pending.take(SigSet::EMPTY).unwrap().pid(), 5);
    }
}
