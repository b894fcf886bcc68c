//! How much of the CPUs threads get that come before all others: [`Throttle`] bounds those of real time
//! together, so that a hog among them leaves the rest something (sched(7), "Limiting the CPU usage of
//! real-time and deadline processes"), and [`Reservation`] gives one of `SCHED_DEADLINE` its run time in
//! every period and no more (a constant bandwidth server).
//!
//! All times are nanoseconds of the monotonic clock.

/// A millionth of a second.
const US: u64 = 1000;

/// The least run time a reservation may ask for: 1024 ns, the grain of Linux's arithmetic.
const LEAST_RUNTIME: u64 = 1 << 10;
/// The bounds of a period: `sched_deadline_period_min_us` and `_max_us` of Linux.
const PERIODS: core::ops::RangeInclusive<u64> = 100 * US..=(1 << 22) * US;
/// Bits behind the point of a bandwidth.
const SHIFT: u32 = 20;

/// What a thread of `SCHED_DEADLINE` asks for (sched_setattr(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Params {
    /// Run time in each period.
    pub runtime: u64,
    /// How long after a period's start it must have had it.
    pub deadline: u64,
    /// From one period's start to the next.
    pub period: u64,
}

impl Params {
    /// As given to sched_setattr(2): a period of 0 stands for the deadline. `None` when they aren't
    /// in order, `runtime <= deadline <= period`, or out of bounds.
    #[must_use]
    pub fn checked(self) -> Option<Self> {
        let period = if self.period == 0 {
            self.deadline
        } else {
            self.period
        };
        let in_order = self.deadline != 0
            && (LEAST_RUNTIME..=self.deadline).contains(&self.runtime)
            && self.deadline <= period;
        (in_order && PERIODS.contains(&period)).then_some(Self { period, ..self })
    }

    /// The part of a CPU that it comes to.
    #[must_use]
    pub fn bandwidth(self) -> u64 {
        fraction(self.runtime, self.period)
    }
}

/// `part / whole` with a fixed point.
fn fraction(part: u64, whole: u64) -> u64 {
    let scaled = (u128::from(part) << SHIFT).checked_div(u128::from(whole));
    scaled.map_or(0, |value| u64::try_from(value).unwrap_or(u64::MAX))
}

/// How far a thread of `SCHED_DEADLINE` is with what it may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reservation {
    params: Params,
    /// What is left of the run time in this period; below zero: overdrawn.
    left: i64,
    /// When it must have had it.
    deadline: u64,
}

impl Reservation {
    /// A reservation whose first period starts with the first [`Self::wake`].
    #[must_use]
    pub const fn new(params: Params) -> Self {
        Self {
            params,
            left: 0,
            deadline: 0,
        }
    }

    /// What was asked for.
    #[must_use]
    pub const fn params(&self) -> Params {
        self.params
    }

    /// When this period's run time is due: the earlier, the more urgent.
    #[must_use]
    pub const fn deadline(&self) -> u64 {
        self.deadline
    }

    /// What is left to run in this period.
    #[must_use]
    pub fn left(&self) -> u64 {
        u64::try_from(self.left).unwrap_or(0)
    }

    /// It becomes runnable. What is left of its period still counts, unless it would come to more than
    /// its bandwidth until the deadline: a new period starts then.
    pub fn wake(&mut self, now: u64) {
        let until = u128::from(self.deadline.saturating_sub(now));
        let too_much = u128::from(self.left()) * u128::from(self.params.deadline)
            > until * u128::from(self.params.runtime);
        if self.deadline <= now || too_much {
            self.restart(now);
        }
    }

    fn restart(&mut self, now: u64) {
        self.deadline = now.saturating_add(self.params.deadline);
        self.left = i64::try_from(self.params.runtime).unwrap_or(i64::MAX);
    }

    /// It ran.
    pub fn charge(&mut self, ran: u64) {
        self.left = self
            .left
            .saturating_sub(i64::try_from(ran).unwrap_or(i64::MAX));
    }

    /// It wants no more in this period (sched_yield(2)).
    pub fn give_up(&mut self) {
        self.left = self.left.min(0);
    }

    /// When it may go on, if it has used up what it had.
    #[must_use]
    pub fn spent_until(&self) -> Option<u64> {
        let Params {
            deadline, period, ..
        } = self.params;
        (self.left <= 0).then(|| {
            self.deadline
                .saturating_sub(deadline)
                .saturating_add(period)
        })
    }

    /// The next period starts; what was overdrawn is taken from it.
    pub fn replenish(&mut self, now: u64) {
        let runtime = i64::try_from(self.params.runtime).unwrap_or(i64::MAX);
        while self.left <= 0 {
            self.left = self.left.saturating_add(runtime.max(1));
            self.deadline = self.deadline.saturating_add(self.params.period.max(1));
            if self.deadline <= now {
                self.restart(now);
            }
        }
    }
}

/// What all threads of real time on a CPU may have of each period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Run time in a period; `None`: no limit.
    pub runtime: Option<u64>,
    /// The period.
    pub period: u64,
}

impl Limit {
    /// Linux's: 0.95 s in every second.
    pub const DEFAULT: Self = Self {
        runtime: Some(950_000 * US),
        period: 1_000_000 * US,
    };

    /// The part of a CPU that may be reserved.
    #[must_use]
    pub fn bandwidth(self) -> u64 {
        self.runtime
            .map_or(u64::MAX, |runtime| fraction(runtime, self.period))
    }
}

/// What the threads of real time on a CPU have had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Throttle {
    /// Start of the period.
    since: u64,
    used: u64,
    /// One of them waits for its end.
    held: bool,
}

impl Throttle {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            since: 0,
            used: 0,
            held: false,
        }
    }

    /// One of them has run for `ran` until `now`. What it ran alone before this period, when nobody looked,
    /// is forgotten.
    pub fn charge(&mut self, limit: Limit, now: u64, ran: u64) {
        self.advance(limit, now);
        let within = ran.min(now.saturating_sub(self.since));
        self.used = self.used.saturating_add(within);
    }

    /// When they may go on, if they have had all that they may.
    pub fn spent_until(&mut self, limit: Limit, now: u64) -> Option<u64> {
        self.advance(limit, now);
        let spent = limit.runtime.is_some_and(|runtime| self.used > runtime);
        spent.then(|| self.since.saturating_add(limit.period))
    }

    /// Whether one that comes when all is spent must wait for the period's end: from when `others` want the rest.
    pub fn holds(&mut self, others: impl FnOnce() -> bool) -> bool {
        self.held = self.held || others();
        self.held
    }

    /// Goes on to the period that `now` is in; each that is over pays for its own share.
    fn advance(&mut self, limit: Limit, now: u64) {
        let over = now
            .saturating_sub(self.since)
            .checked_div(limit.period)
            .unwrap_or(0);
        if over > 0 {
            let share = limit.runtime.unwrap_or(limit.period);
            self.since = self.since.saturating_add(over.saturating_mul(limit.period));
            self.used = self.used.saturating_sub(over.saturating_mul(share));
            self.held = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1000 * US;

    fn params(runtime: u64, deadline: u64, period: u64) -> Params {
        Params {
            runtime,
            deadline,
            period,
        }
    }

    #[test]
    fn what_may_be_asked_for() {
        let period = |p: Params| p.checked().map(|p| p.period);
        assert_eq!(period(params(10 * MS, 30 * MS, 0)), Some(30 * MS));
        assert_eq!(period(params(10 * MS, 30 * MS, 40 * MS)), Some(40 * MS));
        for bad in [
            params(0, 0, 0),
            params(40 * MS, 30 * MS, 30 * MS),
            params(10 * MS, 40 * MS, 30 * MS),
            params(1000, 30 * MS, 30 * MS),
            params(10 * US, 50 * US, 50 * US),
            params(10_000 * MS, 50_000 * MS, 50_000 * MS),
            params(10 * MS, 1 << 63, 0),
        ] {
            assert_eq!(bad.checked(), None, "{bad:?}");
        }
    }

    #[test]
    fn a_reservation_is_spent_and_comes_back() {
        let mut own = Reservation::new(params(10 * MS, 30 * MS, 30 * MS));
        own.wake(100 * MS);
        assert_eq!((own.deadline(), own.left()), (130 * MS, 10 * MS));
        own.charge(4 * MS);
        // Soon again: the same period. Later: 6 ms would be too much until the deadline.
        own.wake(105 * MS);
        assert_eq!((own.deadline(), own.left()), (130 * MS, 6 * MS));
        own.wake(125 * MS);
        assert_eq!((own.deadline(), own.left()), (155 * MS, 10 * MS));
        own.charge(11 * MS);
        assert_eq!(own.spent_until(), Some(155 * MS));
        own.replenish(155 * MS);
        assert_eq!((own.deadline(), own.left()), (185 * MS, 9 * MS));
        own.give_up();
        assert_eq!(own.spent_until(), Some(185 * MS));
    }

    #[test]
    fn real_time_leaves_a_twentieth() {
        let mut throttle = Throttle::new();
        let limit = Limit::DEFAULT;
        throttle.charge(limit, 5_900 * MS, 900 * MS);
        assert_eq!(throttle.spent_until(limit, 5_900 * MS), None);
        throttle.charge(limit, 5_990 * MS, 60 * MS);
        assert_eq!(throttle.spent_until(limit, 5_990 * MS), Some(6_000 * MS));
        // Nobody wants the rest, then somebody does, and has it from then on.
        assert_eq!(
            [false, true, false].map(|wanted| throttle.holds(|| wanted)),
            [false, true, true]
        );
        assert_eq!(throttle.spent_until(limit, 6_000 * MS), None);
        assert!(!throttle.holds(|| false));
        let none = Limit {
            runtime: None,
            ..limit
        };
        throttle.charge(none, 6_500 * MS, 1_000_000 * MS);
        assert_eq!(throttle.spent_until(none, 6_500 * MS), None);
        let mut throttle = Throttle::new();
        throttle.charge(limit, 5_100 * MS, 3_000 * MS);
        assert_eq!(throttle.spent_until(limit, 5_100 * MS), None);
    }

    proptest! {
        #[test]
        fn a_hog_gets_its_bandwidth(
            runtime in 1u64..30, extra in 0u64..30, more in 0u64..30, step in 1u64..5_000
        ) {
            let asked = params(runtime * MS, (runtime + extra) * MS, (runtime + extra + more) * MS);
            let mut own = Reservation::new(asked.checked().unwrap());
            let (mut now, mut ran) = (7 * MS, 0);
            own.wake(now);
            while now < 10_000 * MS {
                let turn = own.left().min(step * US);
                own.charge(turn);
                now += turn;
                ran += turn;
                if let Some(until) = own.spent_until() {
                    now = now.max(until);
                    own.replenish(now);
                }
            }
            let share = ran as f64 / now as f64;
            let wanted = asked.runtime as f64 / asked.period as f64;
            prop_assert!((share - wanted).abs() < 0.01, "{} of {}", share, wanted);
        }
    }
}
