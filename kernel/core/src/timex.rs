//! The clock's discipline as adjtimex(2) tells and sets it (linux/timex.h). Nothing here changes a
//! clock's rate: what a program sets is kept and told.

use crate::errno::Errno;

/// Bytes of `struct timex`.
pub const TIMEX_SIZE: usize = 208;

/// `ADJ_*`: which fields a call sets.
const OFFSET: u32 = 0x0001;
const FREQUENCY: u32 = 0x0002;
const MAXERROR: u32 = 0x0004;
const ESTERROR: u32 = 0x0008;
const STATUS: u32 = 0x0010;
const TIMECONST: u32 = 0x0020;
const TAI: u32 = 0x0080;
const SETOFFSET: u32 = 0x0100;
const NANO: u32 = 0x2000;
const TICK: u32 = 0x4000;
/// The old adjtime(3): a single shot, or a mere look at what is left of it.
const ADJTIME: u32 = 0x8000;
const OFFSET_READONLY: u32 = 0x2000;

/// `STA_UNSYNC`: nobody keeps the clock.
const UNSYNC: i32 = 0x0040;
/// Status bits that only the kernel sets (`STA_RONLY`).
const READ_ONLY: i32 = 0xff00;
const STATUS_NANO: i32 = 0x2000;
/// `TIME_ERROR`: the clock isn't synchronised.
const TIME_ERROR: u64 = 5;
/// Parts per million, shifted by 16.
const MAX_FREQUENCY: i64 = 500 << 16;
/// Microseconds.
const MAX_ERROR: i64 = 16_000_000;

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub struct Discipline {
    offset: i64,
    frequency: i64,
    max_error: i64,
    est_error: i64,
    status: i32,
    constant: i64,
    tick: i64,
    tai: i32,
}

impl Discipline {
    /// As after boot.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            offset: 0,
            frequency: 0,
            max_error: MAX_ERROR,
            est_error: MAX_ERROR,
            status: UNSYNC,
            constant: 2,
            tick: 10_000,
            tai: 0,
        }
    }

    /// Whether the call that these bytes ask for changes anything, and so needs `CAP_SYS_TIME`.
    #[must_use]
    pub fn is_change(bytes: &[u8; TIMEX_SIZE]) -> bool {
        let modes = u32::from_le_bytes(read(bytes, 0));
        if modes & ADJTIME != 0 {
            modes & OFFSET_READONLY == 0
        } else {
            modes != 0
        }
    }

    /// International Atomic Time less the time of day, in seconds.
    #[must_use]
    pub const fn tai(&self) -> i32 {
        self.tai
    }

    /// Does what the bytes ask for, and answers the clock's state, how far the clock is to be
    /// moved in nanoseconds, and the bytes of the answer. `now` is the time of day in nanoseconds.
    ///
    /// # Errors
    /// `EINVAL`.
    pub fn adjust(&mut self, bytes: &mut [u8; TIMEX_SIZE], now: u64) -> Result<(u64, i64), Errno> {
        let modes = u32::from_le_bytes(read(bytes, 0));
        let mut moved = 0;
        if modes & ADJTIME != 0 {
            if modes & OFFSET == 0 {
                return Err(Errno::EINVAL);
            }
        } else {
            self.check(modes, bytes)?;
            moved = setoffset(modes, bytes)?;
            self.set(modes, bytes);
        }
        let shown = if modes & ADJTIME != 0 { 0 } else { self.offset };
        self.write(bytes, shown, now);
        let state = if self.status & UNSYNC != 0 {
            TIME_ERROR
        } else {
            0
        };
        Ok((state, moved))
    }

    fn check(&self, modes: u32, bytes: &[u8; TIMEX_SIZE]) -> Result<(), Errno> {
        // A tenth around the nominal tick of 100 Hz (`ntp_validate_timex`).
        let tick = i64::from_le_bytes(read(bytes, 88));
        if modes & TICK != 0 && !(9_000..=11_000).contains(&tick) {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    fn set(&mut self, modes: u32, bytes: &[u8; TIMEX_SIZE]) {
        let long = |at| i64::from_le_bytes(read(bytes, at));
        if modes & STATUS != 0 {
            let status = i32::from_le_bytes(read(bytes, 40));
            self.status = self.status & READ_ONLY | status & !READ_ONLY;
        }
        if modes & NANO != 0 {
            self.status |= STATUS_NANO;
        }
        // ADJ_MICRO.
        if modes & 0x1000 != 0 {
            self.status &= !STATUS_NANO;
        }
        if modes & FREQUENCY != 0 {
            self.frequency = long(16).clamp(-MAX_FREQUENCY, MAX_FREQUENCY);
        }
        if modes & MAXERROR != 0 {
            self.max_error = long(24).clamp(0, MAX_ERROR);
        }
        if modes & ESTERROR != 0 {
            self.est_error = long(32).clamp(0, MAX_ERROR);
        }
        if modes & TIMECONST != 0 {
            let unit = if self.status & STATUS_NANO == 0 { 4 } else { 0 };
            self.constant = (long(48).clamp(0, 10) + unit).clamp(0, 10);
        }
        if modes & TAI != 0 {
            let tai = long(48);
            self.tai = i32::try_from(tai).unwrap_or(self.tai).max(0);
        }
        if modes & OFFSET != 0 {
            self.offset = long(8).clamp(-500_000_000, 500_000_000);
        }
        if modes & TICK != 0 {
            self.tick = long(88);
        }
    }

    fn write(&self, bytes: &mut [u8; TIMEX_SIZE], offset: i64, now: u64) {
        let nano = self.status & STATUS_NANO != 0;
        let fraction = now % 1_000_000_000;
        let fraction = if nano { fraction } else { fraction / 1000 };
        let longs = [
            (8, offset),
            (16, self.frequency),
            (24, self.max_error),
            (32, self.est_error),
            (48, self.constant),
            // Precision and tolerance.
            (56, 1),
            (64, MAX_FREQUENCY),
            (72, (now / 1_000_000_000).cast_signed()),
            (80, fraction.cast_signed()),
            (88, self.tick),
        ];
        for (at, value) in longs {
            write(bytes, at, &value.to_le_bytes());
        }
        write(bytes, 40, &self.status.to_le_bytes());
        // Nobody delivers pulses.
        for at in (96..160).step_by(8) {
            write(bytes, at, &[0; 8]);
        }
        write(bytes, 160, &self.tai.to_le_bytes());
    }
}

impl Default for Discipline {
    fn default() -> Self {
        Self::new()
    }
}

/// `ADJ_SETOFFSET`: how far the clock moves.
fn setoffset(modes: u32, bytes: &[u8; TIMEX_SIZE]) -> Result<i64, Errno> {
    if modes & SETOFFSET == 0 {
        return Ok(0);
    }
    let seconds = i64::from_le_bytes(read(bytes, 72));
    let fraction = i64::from_le_bytes(read(bytes, 80));
    let unit = if modes & NANO != 0 { 1 } else { 1000 };
    let nanos = fraction
        .checked_mul(unit)
        .filter(|nanos| (0..1_000_000_000).contains(nanos));
    seconds
        .checked_mul(1_000_000_000)
        .and_then(|whole| whole.checked_add(nanos?))
        .ok_or(Errno::EINVAL)
}

fn read<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let part = bytes.get(at..).and_then(<[u8]>::first_chunk);
    part.copied().unwrap_or([0; N])
}

fn write(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_tells_the_time_and_that_nobody_keeps_it() {
        let mut bytes = [0; TIMEX_SIZE];
        let mut clock = Discipline::new();
        assert!(!Discipline::is_change(&bytes));
        let now = 5_000_000_000 + 7_000;
        assert_eq!(clock.adjust(&mut bytes, now), Ok((5, 0)));
        assert_eq!(i64::from_le_bytes(read(&bytes, 72)), 5);
        assert_eq!(i64::from_le_bytes(read(&bytes, 80)), 7);
        assert_eq!(i32::from_le_bytes(read(&bytes, 40)), 0x40);
    }

    #[test]
    fn ticks_have_bounds_and_offsets_units() {
        let mut clock = Discipline::new();
        let mut bytes = [0; TIMEX_SIZE];
        write(&mut bytes, 0, &TICK.to_le_bytes());
        write(&mut bytes, 88, &8_999i64.to_le_bytes());
        assert_eq!(clock.adjust(&mut bytes, 0), Err(Errno::EINVAL));
        let mut bytes = [0; TIMEX_SIZE];
        write(&mut bytes, 0, &SETOFFSET.to_le_bytes());
        write(&mut bytes, 72, &(-1i64).to_le_bytes());
        write(&mut bytes, 80, &500_000i64.to_le_bytes());
        assert_eq!(clock.adjust(&mut bytes, 0), Ok((5, -500_000_000)));
    }
}
