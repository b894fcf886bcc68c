//! Packet mode (`TIOCPKT`): what the master of a pseudo terminal is told of the other side besides
//! its output, as ioctl_tty(2) says. Neighbour: the kernel's `fs::tty::pty`.

use super::Termios;
use crate::abi;
use crate::num::low8;

/// Whether the mode is on, and what the master hasn't been told yet.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Packet {
    on: bool,
    /// `TIOCPKT_*` bits.
    status: u32,
}

impl Packet {
    /// Turns the mode on or off. What happened before it was on isn't told.
    pub const fn set(&mut self, on: bool) {
        if on && !self.on {
            self.status = 0;
        }
        self.on = on;
    }

    /// Whether the mode is on.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Whether there is something to tell.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.on && self.status != 0
    }

    /// What there is to tell, which is told then.
    pub fn take(&mut self) -> Option<u8> {
        let status = self.is_pending().then_some(low8(self.status.into()))?;
        self.status = 0;
        Some(status)
    }

    /// Forgets what there is to tell: the other side was hung up.
    pub const fn forget(&mut self) {
        self.status = 0;
    }

    /// What was typed was thrown away, or what was written.
    pub const fn flushed(&mut self, typed: bool, written: bool) {
        if typed {
            self.status |= abi::TIOCPKT_FLUSHREAD;
        }
        if written {
            self.status |= abi::TIOCPKT_FLUSHWRITE;
        }
    }

    /// Output was stopped, or goes on.
    pub const fn flow(&mut self, stopped: bool) {
        self.status &= !(abi::TIOCPKT_STOP | abi::TIOCPKT_START);
        self.status |= if stopped {
            abi::TIOCPKT_STOP
        } else {
            abi::TIOCPKT_START
        };
    }

    /// The settings changed: whether `^S` and `^Q` do what they usually do is told, and, where the
    /// master processes the input (`EXTPROC`), every change.
    pub fn settings(&mut self, before: &Termios, after: &Termios) {
        let (was, is) = (has_usual_flow(before), has_usual_flow(after));
        if was != is {
            self.status &= !(abi::TIOCPKT_DOSTOP | abi::TIOCPKT_NOSTOP);
            self.status |= if is {
                abi::TIOCPKT_DOSTOP
            } else {
                abi::TIOCPKT_NOSTOP
            };
        }
        if before.local(abi::EXTPROC) || after.local(abi::EXTPROC) {
            self.status |= abi::TIOCPKT_IOCTL;
        }
    }
}

fn has_usual_flow(termios: &Termios) -> bool {
    termios.input(abi::IXON)
        && termios.character(abi::VSTOP) == 0x13
        && termios.character(abi::VSTART) == 0x11
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_of_before() {
        let mut packet = Packet::default();
        packet.flow(true);
        assert_eq!(packet.take(), None);
        packet.set(true);
        assert_eq!(packet.take(), None);
        packet.flow(true);
        packet.flow(false);
        packet.flushed(true, true);
        let told = abi::TIOCPKT_START | abi::TIOCPKT_FLUSHREAD | abi::TIOCPKT_FLUSHWRITE;
        assert_eq!(packet.take().map(u32::from), Some(told));
        assert_eq!(packet.take(), None);
    }

    #[test]
    fn settings_matter_by_their_flow() {
        let usual = Termios::default();
        let raw = Termios { input: 0, ..usual };
        let mut packet = Packet::default();
        packet.set(true);
        packet.settings(&usual, &usual);
        assert!(!packet.is_pending());
        packet.settings(&usual, &raw);
        assert_eq!(packet.take().map(u32::from), Some(abi::TIOCPKT_NOSTOP));
        packet.settings(&raw, &usual);
        assert_eq!(packet.take().map(u32::from), Some(abi::TIOCPKT_DOSTOP));
        let external = Termios {
            local: usual.local | abi::EXTPROC,
            ..usual
        };
        packet.settings(&usual, &external);
        assert_eq!(packet.take().map(u32::from), Some(abi::TIOCPKT_IOCTL));
    }
}
