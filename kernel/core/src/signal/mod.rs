//! Signals without the machinery that delivers them: numbers and sets ([`Signal`], [`SigSet`]),
//! what a signal does by default ([`DefaultAction`]), what a program asked for ([`action`]), what
//! waits to be delivered ([`pending`]), its `siginfo_t` ([`info`]) and the frame a handler sees
//! ([`frame`]).
//!
//! Sources: signal(7), asm-generic/signal.h, asm-generic/siginfo.h.

pub mod action;
pub mod frame;
pub mod info;
pub mod pending;

pub use action::{Disposition, SigAction, SigActions};
pub use info::SigInfo;
pub use pending::Pending;

use crate::abi;
use crate::num::low8;
use core::fmt;
use core::num::NonZeroU8;

/// A signal's number, 1..=64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(NonZeroU8);

/// First real-time signal (`SIGRTMIN`, asm/signal.h).
const FIRST_REALTIME: u8 = 32;

impl Signal {
    /// The signal with this number; `None` for 0 and beyond 64.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number > abi::NSIG {
            return None;
        }
        match NonZeroU8::new(low8(number as u64)) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    const fn of(number: u32) -> Self {
        match Self::new(number) {
            Some(signal) => signal,
            None => Self(NonZeroU8::MIN),
        }
    }

    /// Its number, 1..=64.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0.get()
    }

    /// Its place in tables that start with signal 1.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// Whether every instance is queued, not only one (`SIGRTMIN` and above).
    #[must_use]
    pub const fn is_realtime(self) -> bool {
        self.0.get() >= FIRST_REALTIME
    }

    /// What it does to a process that set no handler (signal(7), "Standard signals").
    #[must_use]
    pub const fn default_action(self) -> DefaultAction {
        match self {
            Self::CHLD | Self::URG | Self::WINCH => DefaultAction::Ignore,
            Self::CONT => DefaultAction::Continue,
            Self::STOP | Self::TSTP | Self::TTIN | Self::TTOU => DefaultAction::Stop,
            Self::QUIT | Self::ILL | Self::TRAP | Self::ABRT | Self::BUS | Self::FPE => {
                DefaultAction::Core
            }
            Self::SEGV | Self::XCPU | Self::XFSZ | Self::SYS => DefaultAction::Core,
            _ => DefaultAction::Terminate,
        }
    }

    /// The signals, lowest number first.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=abi::NSIG).filter_map(Self::new)
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal({})", self.0)
    }
}

macro_rules! signals {
    ($($name:ident = $abi:ident)*) => {
        impl Signal {
            $(
                #[doc = concat!("`", stringify!($abi), "`.")]
                pub const $name: Self = Self::of(abi::$abi);
            )*

            /// `SIGHUP`, …; `SIGRT_n` for the real-time ones.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($abi)),)*
                    _ => None,
                }
            }
        }
    };
}

signals! {
    HUP = SIGHUP INT = SIGINT QUIT = SIGQUIT ILL = SIGILL TRAP = SIGTRAP ABRT = SIGABRT
    BUS = SIGBUS FPE = SIGFPE KILL = SIGKILL USR1 = SIGUSR1 SEGV = SIGSEGV USR2 = SIGUSR2
    PIPE = SIGPIPE ALRM = SIGALRM TERM = SIGTERM STKFLT = SIGSTKFLT CHLD = SIGCHLD
    CONT = SIGCONT STOP = SIGSTOP TSTP = SIGTSTP TTIN = SIGTTIN TTOU = SIGTTOU URG = SIGURG
    XCPU = SIGXCPU XFSZ = SIGXFSZ VTALRM = SIGVTALRM PROF = SIGPROF WINCH = SIGWINCH
    IO = SIGIO PWR = SIGPWR SYS = SIGSYS
}

/// What a signal does when no handler is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultAction {
    /// Ends the process.
    Terminate,
    /// Ends the process, and leaves a core where that can be written.
    Core,
    /// Nothing.
    Ignore,
    /// Stops every thread of the process.
    Stop,
    /// Lets a stopped process go on.
    Continue,
}

/// A set of signals, laid out as the kernel's `sigset_t`: bit n-1 stands for signal n.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct SigSet(u64);

impl SigSet {
    /// No signal.
    pub const EMPTY: Self = Self(0);
    /// Every signal.
    pub const FULL: Self = Self(u64::MAX);
    /// Those that can't be blocked, ignored or handled.
    pub const UNBLOCKABLE: Self = Self::of(&[Signal::KILL, Signal::STOP]);
    /// Those that stop a process by default.
    pub const STOPPING: Self = Self::of(&[Signal::STOP, Signal::TSTP, Signal::TTIN, Signal::TTOU]);
    /// Those that the processor raises: delivered before any other.
    pub const SYNCHRONOUS: Self = Self::of(&[
        Signal::SEGV,
        Signal::BUS,
        Signal::ILL,
        Signal::TRAP,
        Signal::FPE,
        Signal::SYS,
    ]);

    /// The set with these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set of these signals.
    #[must_use]
    pub const fn of(signals: &[Signal]) -> Self {
        let mut bits = 0;
        let mut rest = signals;
        while let [first, tail @ ..] = rest {
            bits |= 1 << first.index();
            rest = tail;
        }
        Self(bits)
    }

    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the signal is in it.
    #[must_use]
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & (1 << signal.index()) != 0
    }

    /// With the signal.
    #[must_use]
    pub const fn with(self, signal: Signal) -> Self {
        Self(self.0 | (1 << signal.index()))
    }

    /// Without the signal.
    #[must_use]
    pub const fn without(self, signal: Signal) -> Self {
        Self(self.0 & !(1 << signal.index()))
    }

    /// Those in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in this and not in the other.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The one to deliver first: a synchronous one, else the lowest number.
    #[must_use]
    pub const fn first(self) -> Option<Signal> {
        let synchronous = self.intersection(Self::SYNCHRONOUS);
        let set = if synchronous.is_empty() {
            self
        } else {
            synchronous
        };
        if set.is_empty() {
            return None;
        }
        Signal::new(set.0.trailing_zeros() + 1)
    }
}

impl fmt::Debug for SigSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigSet({:#x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(Signal::new(0), None);
        assert_eq!(Signal::new(65), None);
        assert_eq!(Signal::new(9), Some(Signal::KILL));
        assert_eq!(Signal::KILL.name(), Some("SIGKILL"));
        assert_eq!(Signal::new(64).map(Signal::index), Some(63));
        assert!(Signal::new(32).is_some_and(Signal::is_realtime));
        assert!(!Signal::SYS.is_realtime());
    }

    #[test]
    fn defaults_as_signal_7_says() {
        let by = |action| {
            Signal::all()
                .filter(|signal| signal.default_action() == action)
                .map(Signal::number)
                .collect::<std::vec::Vec<_>>()
        };
        assert_eq!(by(DefaultAction::Ignore), [17, 23, 28]);
        assert_eq!(by(DefaultAction::Continue), [18]);
        assert_eq!(by(DefaultAction::Stop), [19, 20, 21, 22]);
        assert_eq!(by(DefaultAction::Core), [3, 4, 5, 6, 7, 8, 11, 24, 25, 31]);
    }

    #[test]
    fn synchronous_first() {
        let set = SigSet::of(&[Signal::HUP, Signal::SEGV, Signal::BUS]);
        assert_eq!(set.first(), Some(Signal::BUS));
        assert_eq!(
            SigSet::of(&[Signal::TERM, Signal::KILL]).first(),
            Some(Signal::KILL)
        );
        assert_eq!(SigSet::EMPTY.first(), None);
    }
}
