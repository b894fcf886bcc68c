//! What a program asked to happen at each signal: [`SigAction`], and the table of all of them,
//! [`SigActions`].

use super::info::{read, write};
use super::{DefaultAction, SigSet, Signal};
use crate::abi;
use crate::errno::Errno;
use alloc::vec::Vec;

/// Bytes of the kernel's `struct sigaction` on x86-64.
pub const SIGACTION_SIZE: usize = 32;

/// What happens at a signal, when it isn't the default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Disposition {
    /// `SIG_DFL`.
    #[default]
    Default,
    /// `SIG_IGN`.
    Ignore,
    /// A function of the program, at this address.
    Handler(u64),
}

/// The kernel's `struct sigaction`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SigAction {
    /// Default, ignored or a handler.
    pub disposition: Disposition,
    /// `SA_*`.
    pub flags: u64,
    /// Where the handler returns to (`SA_RESTORER`).
    pub restorer: u64,
    /// Signals blocked while the handler runs.
    pub mask: SigSet,
}

impl SigAction {
    /// From the bytes of `struct sigaction`.
    #[must_use]
    pub fn decode(bytes: &[u8; SIGACTION_SIZE]) -> Self {
        let disposition = match u64::from_le_bytes(read(bytes, 0)) {
            0 => Disposition::Default,
            1 => Disposition::Ignore,
            handler => Disposition::Handler(handler),
        };
        let flags = u64::from_le_bytes(read(bytes, 8));
        let mask = SigSet::from_bits(u64::from_le_bytes(read(bytes, 24)));
        Self {
            disposition,
            // A program finds out with SA_UNSUPPORTED which flags it got: the known ones.
            flags: flags & KNOWN_FLAGS,
            restorer: u64::from_le_bytes(read(bytes, 16)),
            mask: mask.minus(SigSet::UNBLOCKABLE),
        }
    }

    /// To the bytes of `struct sigaction`.
    #[must_use]
    pub fn encode(&self) -> [u8; SIGACTION_SIZE] {
        let handler = match self.disposition {
            Disposition::Default => 0,
            Disposition::Ignore => 1,
            Disposition::Handler(handler) => handler,
        };
        let mut bytes = [0; SIGACTION_SIZE];
        write(&mut bytes, 0, &handler.to_le_bytes());
        write(&mut bytes, 8, &self.flags.to_le_bytes());
        write(&mut bytes, 16, &self.restorer.to_le_bytes());
        write(&mut bytes, 24, &self.mask.bits().to_le_bytes());
        bytes
    }

    /// Whether a flag is set.
    #[must_use]
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag as u64 != 0
    }
}

const KNOWN_FLAGS: u64 = (abi::SA_NOCLDSTOP
    | abi::SA_NOCLDWAIT
    | abi::SA_SIGINFO
    | abi::SA_EXPOSE_TAGBITS
    | abi::SA_ONSTACK
    | abi::SA_RESTART
    | abi::SA_NODEFER
    | abi::SA_RESETHAND
    | abi::SA_RESTORER) as u64;

/// The action of every signal: what threads share under `CLONE_SIGHAND`. Signals beyond the
/// highest one ever set have the default.
#[derive(Debug, Default)]
pub struct SigActions(Vec<SigAction>);

impl SigActions {
    /// All defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// A copy, as fork makes it.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn try_clone(&self) -> Result<Self, Errno> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(self.0.len())
            .map_err(|_| Errno::ENOMEM)?;
        copy.extend_from_slice(&self.0);
        Ok(Self(copy))
    }

    /// The action of a signal.
    #[must_use]
    pub fn get(&self, signal: Signal) -> SigAction {
        self.0.get(signal.index()).copied().unwrap_or_default()
    }

    /// Sets an action and gives the old one back.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn set(&mut self, signal: Signal, action: SigAction) -> Result<SigAction, Errno> {
        let at = signal.index();
        if at >= self.0.len() {
            let more = at + 1 - self.0.len();
            self.0.try_reserve(more).map_err(|_| Errno::ENOMEM)?;
            self.0.resize(at + 1, SigAction::default());
        }
        Ok(match self.0.get_mut(at) {
            Some(place) => core::mem::replace(place, action),
            None => SigAction::default(),
        })
    }

    /// Puts the default back, as `SA_RESETHAND` does.
    pub fn reset(&mut self, signal: Signal) {
        if let Some(place) = self.0.get_mut(signal.index()) {
            place.disposition = Disposition::Default;
        }
    }

    /// Whether the signal would have no effect, blocked or not.
    #[must_use]
    pub fn is_ignored(&self, signal: Signal) -> bool {
        match self.get(signal).disposition {
            Disposition::Ignore => !SigSet::UNBLOCKABLE.contains(signal),
            Disposition::Default => matches!(
                signal.default_action(),
                DefaultAction::Ignore | DefaultAction::Continue
            ),
            Disposition::Handler(_) => false,
        }
    }

    /// What exec and `CLONE_CLEAR_SIGHAND` leave: handlers become defaults, ignored signals stay so.
    pub fn reset_for_exec(&mut self) {
        for action in &mut self.0 {
            let ignored = action.disposition == Disposition::Ignore;
            *action = SigAction::default();
            if ignored {
                action.disposition = Disposition::Ignore;
            }
        }
    }

    /// Signals that are ignored by the program's own wish (`SigIgn` of /proc/PID/status).
    #[must_use]
    pub fn ignored(&self) -> SigSet {
        self.with_disposition(|disposition| disposition == Disposition::Ignore)
    }

    /// Signals with a handler (`SigCgt`).
    #[must_use]
    pub fn caught(&self) -> SigSet {
        self.with_disposition(|disposition| matches!(disposition, Disposition::Handler(_)))
    }

    fn with_disposition(&self, wanted: impl Fn(Disposition) -> bool) -> SigSet {
        Signal::all()
            .filter(|signal| wanted(self.get(*signal).disposition))
            .fold(SigSet::EMPTY, SigSet::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_without_unblockable() {
        let action = SigAction {
            disposition: Disposition::Handler(0x40_1000),
            flags: u64::from(abi::SA_RESTORER | abi::SA_SIGINFO),
            restorer: 0x40_2000,
            mask: SigSet::of(&[Signal::USR1]),
        };
        assert_eq!(SigAction::decode(&action.encode()), action);
        let mut bytes = action.encode();
        bytes[24..32].fill(0xff);
        assert!(!SigAction::decode(&bytes).mask.contains(Signal::KILL));
    }

    #[test]
    fn exec_keeps_ignored() {
        let mut actions = SigActions::default();
        let with = |disposition| SigAction {
            disposition,
            ..SigAction::default()
        };
        actions.set(Signal::INT, with(Disposition::Ignore)).unwrap();
        actions
            .set(Signal::TERM, with(Disposition::Handler(4096)))
            .unwrap();
        assert_eq!(actions.caught(), SigSet::of(&[Signal::TERM]));
        actions.reset_for_exec();
        assert!(actions.is_ignored(Signal::INT));
        assert_eq!(actions.get(Signal::TERM), SigAction::default());
        assert!(actions.is_ignored(Signal::CHLD));
        assert!(actions.is_ignored(Signal::CONT));
    }
}
