//! [`Pending`]: signals sent and not yet delivered, of one thread or of a whole process.

use super::{SigInfo, SigSet, Signal};
use crate::errno::Errno;
use alloc::vec::Vec;

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
        entries
            .filter(|info| info.code != crate::abi::SI_TIMER)
            .count()
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

    /// Adds a signal. `limit` is how many entries may be queued.
    ///
    /// When there is no room, the signal still becomes pending, without its story, as on Linux.
    ///
    /// # Errors
    /// `EAGAIN` when a real-time signal that a program queued (rather than kill(2) or the
    /// kernel) finds no room: then it isn't pending by this call.
    pub fn push(&mut self, info: SigInfo, limit: usize) -> Result<(), Errno> {
        let signal = info.signal;
        if !signal.is_realtime() && self.set.contains(signal) {
            return Ok(());
        }
        // The kernel's own and standard signals by kill(2) are let through the limit: they are few.
        let free = info.code >= 0 && !(signal.is_realtime() && info.is_from_user());
        if (free || self.queue.len() < limit) && self.queue.try_reserve(1).is_ok() {
            self.queue.push(info);
        } else if signal.is_realtime() && info.is_from_user() && info.code != 0 {
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
            Some(at) => self.queue.remove(at),
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
        self.queue.retain(|info| !signals.contains(info.signal));
    }

    /// Adds to the overrun count of a timer's signal that is still pending; `None` when there
    /// is none.
    pub fn timer_entry(&mut self, signal: Signal, id: i32) -> Option<&mut SigInfo> {
        self.queue.iter_mut().find(|info| {
            info.signal == signal
                && info.code == crate::abi::SI_TIMER
                && info.pid().cast_signed() == id
        })
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
