//! Times as programs pass them: [`Timespec`], [`Timeval`], and interval timers made of two, with
//! Linux's rules of what is valid (time(7), linux/time.h).

use crate::errno::Errno;

/// Nanoseconds in a second.
pub const NS_PER_SEC: u64 = 1_000_000_000;
/// Nanoseconds in a microsecond.
pub const NS_PER_US: u64 = 1_000;
/// Nanoseconds in a millisecond.
pub const NS_PER_MS: u64 = 1_000_000;
/// Clock ticks per second that user space counts in (`sysconf(_SC_CLK_TCK)`).
pub const USER_HZ: u64 = 100;

/// `struct __kernel_timespec`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timespec {
    /// Seconds.
    pub sec: i64,
    /// Nanoseconds.
    pub nsec: i64,
}

/// Bytes of a timespec and of a timeval.
pub const TIMESPEC_SIZE: usize = 16;

fn pair(bytes: &[u8; TIMESPEC_SIZE]) -> (i64, i64) {
    let value = i128::from_le_bytes(*bytes);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "takes the low half, then the high half"
    )]
    let halves = (value as i64, (value >> 64) as i64);
    halves
}

fn unpair(low: i64, high: i64) -> [u8; TIMESPEC_SIZE] {
    let value = i128::from(high) << 64 | i128::from(low.cast_unsigned());
    value.to_le_bytes()
}

impl Timespec {
    /// From the bytes of the structure.
    #[must_use]
    pub fn decode(bytes: &[u8; TIMESPEC_SIZE]) -> Self {
        let (sec, nsec) = pair(bytes);
        Self { sec, nsec }
    }

    /// To the bytes of the structure.
    #[must_use]
    pub fn encode(self) -> [u8; TIMESPEC_SIZE] {
        unpair(self.sec, self.nsec)
    }

    /// As nanoseconds; times beyond 584 years are as good as never.
    ///
    /// # Errors
    /// `EINVAL` when negative or with nanoseconds beyond a second.
    pub fn to_ns(self) -> Result<u64, Errno> {
        let sec = u64::try_from(self.sec).map_err(|_| Errno::EINVAL)?;
        let nsec = u64::try_from(self.nsec).map_err(|_| Errno::EINVAL)?;
        if nsec >= NS_PER_SEC {
            return Err(Errno::EINVAL);
        }
        Ok(sec.saturating_mul(NS_PER_SEC).saturating_add(nsec))
    }

    /// From nanoseconds.
    #[must_use]
    pub const fn from_ns(ns: u64) -> Self {
        Self {
            sec: (ns / NS_PER_SEC).cast_signed(),
            nsec: (ns % NS_PER_SEC).cast_signed(),
        }
    }
}

/// `struct timeval`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timeval {
    /// Seconds.
    pub sec: i64,
    /// Microseconds.
    pub usec: i64,
}

impl Timeval {
    /// From the bytes of the structure.
    #[must_use]
    pub fn decode(bytes: &[u8; TIMESPEC_SIZE]) -> Self {
        let (sec, usec) = pair(bytes);
        Self { sec, usec }
    }

    /// To the bytes of the structure.
    #[must_use]
    pub fn encode(self) -> [u8; TIMESPEC_SIZE] {
        unpair(self.sec, self.usec)
    }

    /// As nanoseconds.
    ///
    /// # Errors
    /// `EINVAL` when negative or with microseconds beyond a second.
    pub fn to_ns(self) -> Result<u64, Errno> {
        let nsec = self
            .usec
            .checked_mul(NS_PER_US.cast_signed())
            .ok_or(Errno::EINVAL)?;
        Timespec {
            sec: self.sec,
            nsec,
        }
        .to_ns()
    }

    /// From nanoseconds, the rest cut.
    #[must_use]
    pub const fn from_ns(ns: u64) -> Self {
        Self {
            sec: (ns / NS_PER_SEC).cast_signed(),
            usec: (ns % NS_PER_SEC / NS_PER_US).cast_signed(),
        }
    }
}

/// Clock ticks in this many nanoseconds.
#[must_use]
pub const fn ticks(ns: u64) -> u64 {
    ns / (NS_PER_SEC / USER_HZ)
}

/// A timer that repeats: how many of its periods have passed when it was due at `deadline` and
/// it is now `now`, and when it is due next. At least one has.
#[must_use]
pub const fn periods(deadline: u64, interval: u64, now: u64) -> (u64, u64) {
    let late = now.saturating_sub(deadline);
    match late.checked_div(interval) {
        Some(missed) => {
            let count = missed.saturating_add(1);
            (
                count,
                deadline.saturating_add(count.saturating_mul(interval)),
            )
        }
        None => (1, u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes() {
        let time = Timespec { sec: -1, nsec: 7 };
        let mut expected = [0xff; 16];
        expected[8..].copy_from_slice(&7i64.to_le_bytes());
        assert_eq!(time.encode(), expected);
        assert_eq!(Timespec::decode(&expected), time);
    }

    #[test]
    fn validity() {
        let ns = |sec, nsec| Timespec { sec, nsec }.to_ns();
        assert_eq!(ns(1, 5), Ok(1_000_000_005));
        assert_eq!(ns(-1, 0), Err(Errno::EINVAL));
        assert_eq!(ns(0, 1_000_000_000), Err(Errno::EINVAL));
        assert_eq!(ns(i64::MAX, 0), Ok(u64::MAX));
        let us = |sec, usec| Timeval { sec, usec }.to_ns();
        assert_eq!(us(0, 999_999), Ok(999_999_000));
        assert_eq!(us(0, 1_000_000), Err(Errno::EINVAL));
        assert_eq!(us(0, i64::MAX), Err(Errno::EINVAL));
    }

    #[test]
    fn overruns() {
        assert_eq!(periods(100, 10, 100), (1, 110));
        assert_eq!(periods(100, 10, 135), (4, 140));
        assert_eq!(periods(100, 0, 135), (1, u64::MAX));
    }
}
