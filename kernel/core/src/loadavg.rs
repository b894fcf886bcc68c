//! Load averages: how many threads were running or waiting to, over the last 1, 5 and 15 minutes, each the
//! more forgotten the longer ago it was (getloadavg(3), proc(5)).
//!
//! The number is looked at every five seconds. Nobody needs to wake for that: whoever comes later makes
//! up for the looks that were missed ([`Load::look`]).

/// From one look to the next.
const EVERY_NS: u64 = 5_000_000_000;
/// Bits behind the point, as sysinfo(2) has them.
const SHIFT: u32 = 16;
/// What remains of an average after a look, by `SHIFT`: exp(-5 s / 1, 5 and 15 min).
const KEPT: [u64; 3] = [60_296, 64_453, 65_173];

/// The three averages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    averages: [u64; 3],
    next: u64,
}

impl Load {
    /// No load so far.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            averages: [0; 3],
            next: EVERY_NS,
        }
    }

    /// When it is to be looked at again.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// It is `now`, and `active` threads have been running since the last look.
    pub fn look(&mut self, now: u64, active: u64) {
        let Some(late) = now.checked_sub(self.next) else {
            return;
        };
        let looks = 1 + late / EVERY_NS;
        self.next = self.next.saturating_add(looks.saturating_mul(EVERY_NS));
        let goal = active.min(u64::from(u32::MAX)) << SHIFT;
        for (average, kept) in self.averages.iter_mut().zip(KEPT) {
            let kept = power(kept, looks);
            let mixed = *average * kept + goal * ((1 << SHIFT) - kept);
            // Upwards it is rounded up, so that it arrives.
            let round = if goal >= *average {
                (1 << SHIFT) - 1
            } else {
                0
            };
            *average = (mixed + round) >> SHIFT;
        }
    }

    /// The averages, with 16 bits behind the point.
    #[must_use]
    pub const fn averages(&self) -> [u64; 3] {
        self.averages
    }

    /// The averages' whole parts and hundredths.
    #[must_use]
    pub fn hundredths(&self) -> [(u64, u64); 3] {
        // Half of a hundredth rounds.
        let rounded = self.averages.map(|average| average + (1 << SHIFT) / 200);
        rounded.map(|value| (value >> SHIFT, ((value & 0xFFFF) * 100) >> SHIFT))
    }
}

/// `base` to the power of `exponent`, both fractions by `SHIFT`.
fn power(base: u64, exponent: u64) -> u64 {
    let (mut result, mut base, mut rest) = (1 << SHIFT, base, exponent);
    while rest > 0 && result > 0 {
        if rest & 1 != 0 {
            result = (result * base + (1 << (SHIFT - 1))) >> SHIFT;
        }
        base = (base * base + (1 << (SHIFT - 1))) >> SHIFT;
        rest >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn an_even_load_is_its_average() {
        let mut load = Load::new();
        for second in 0..7200 {
            load.look(second * S, 2);
        }
        assert_eq!(load.hundredths(), [(2, 0); 3]);
    }

    #[test]
    fn it_grows_and_fades_by_minutes() {
        let mut load = Load::new();
        for second in 0..=60 {
            load.look(second * S, 1);
        }
        let [one, five, fifteen] = load.averages().map(|value| value as f64 / 65536.0);
        assert!(
            (one - 0.632).abs() < 0.01
                && (five - 0.181).abs() < 0.01
                && (fifteen - 0.064).abs() < 0.01
        );
        load.look(120 * S, 0);
        let [one, ..] = load.averages().map(|value| value as f64 / 65536.0);
        assert!((one - 0.2325).abs() < 0.01, "{one}");
    }

    #[test]
    fn missed_looks_are_made_up_for() {
        let (mut often, mut once) = (Load::new(), Load::new());
        for second in 0..=600 {
            often.look(second * S, 3);
        }
        once.look(600 * S, 3);
        for (a, b) in often.averages().iter().zip(once.averages()) {
            assert!(a.abs_diff(b) < 200, "{a} {b}");
        }
        assert_eq!(often.next(), once.next());
        once.look(u64::MAX, 0);
        assert_eq!(once.hundredths(), [(0, 0); 3]);
    }
}
