//! The keys that take back what was typed (`VERASE`, `VWERASE`, `VKILL`), and how that is shown.

use super::{Effect, Line};
use crate::abi;
use crate::num::low8;
use crate::tty::is_alphanumeric;
use crate::tty::output::continues;

/// How much is taken back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Erase {
    /// The last character.
    Character,
    /// The last word.
    Word,
    /// All of the line.
    Line,
}

impl Line {
    /// The cells of the line being typed.
    fn unfinished(&self) -> impl DoubleEndedIterator<Item = u8> {
        let cells = self.cells.range(self.readable.min(self.cells.len())..);
        cells.map(|cell| low8(u64::from(*cell)))
    }

    pub(super) fn kill(&mut self, sink: &mut dyn FnMut(Effect<'_>)) {
        let termios = self.termios;
        let visible = abi::ECHOK | abi::ECHOKE | abi::ECHOE;
        if self.cells.len() <= self.readable {
            return;
        }
        if termios.local(abi::ECHO) && termios.local & visible == visible {
            return self.erase(Erase::Line, sink);
        }
        self.cells.truncate(self.readable);
        if termios.local(abi::ECHO) {
            self.finish_erasing(sink);
            self.echo(termios.character(abi::VKILL), sink);
            if termios.local(abi::ECHOK) {
                self.post(b"\n", sink);
            }
        }
    }

    pub(super) fn erase(&mut self, what: Erase, sink: &mut dyn FnMut(Effect<'_>)) {
        if self.cells.len() <= self.readable {
            return;
        }
        let mut in_word = false;
        while let Some((byte, cells)) = self.last_character() {
            if what == Erase::Word {
                let part = is_alphanumeric(byte) || byte == b'_';
                if in_word && !part {
                    break;
                }
                in_word |= part;
            }
            let kept = self.cells.len() - cells;
            self.erase_echo(what, byte, kept, sink);
            self.cells.truncate(kept);
            if what == Erase::Character {
                break;
            }
        }
        if self.cells.len() <= self.readable && self.termios.local(abi::ECHO) {
            self.finish_erasing(sink);
        }
    }

    /// The last character of the unfinished line, by its first byte, and its cells; `None` when
    /// there is none, or only its end.
    fn last_character(&self) -> Option<(u8, usize)> {
        let continued = |byte: &u8| continues(&self.termios, *byte);
        let tail = self.unfinished().rev().take_while(continued).count();
        let first = self.unfinished().rev().nth(tail)?;
        Some((first, tail + 1))
    }

    /// Shows that a character goes; the line keeps `kept` cells.
    fn erase_echo(&mut self, what: Erase, byte: u8, kept: usize, sink: &mut dyn FnMut(Effect<'_>)) {
        let termios = self.termios;
        if !termios.local(abi::ECHO) {
            return;
        }
        if termios.local(abi::ECHOPRT) {
            if !self.erasing {
                self.post(b"\\", sink);
                self.erasing = true;
            }
            self.echo(byte, sink);
            for index in kept + 1..self.cells.len() {
                let cell = self.cells.get(index).copied().unwrap_or(0);
                self.post(&[low8(cell.into())], sink);
                self.cursor.back();
            }
        } else if what == Erase::Character && !termios.local(abi::ECHOE) {
            self.echo(termios.character(abi::VERASE), sink);
        } else if byte == b'\t' {
            self.erase_tab(kept, sink);
        } else {
            let control = byte.is_ascii_control();
            if control && termios.local(abi::ECHOCTL) {
                self.post(b"\x08 \x08", sink);
            }
            if !control || termios.local(abi::ECHOCTL) {
                self.post(b"\x08 \x08", sink);
            }
        }
    }

    /// Goes back over a tab: to the column the text before it ends in.
    fn erase_tab(&mut self, kept: usize, sink: &mut dyn FnMut(Effect<'_>)) {
        let mut columns = 0;
        let mut after_tab = false;
        let before = self.unfinished().take(kept.saturating_sub(self.readable));
        for byte in before {
            match byte {
                b'\t' => (columns, after_tab) = (0, true),
                _ if byte.is_ascii_control() => {
                    columns += if self.termios.local(abi::ECHOCTL) {
                        2
                    } else {
                        0
                    };
                }
                _ if continues(&self.termios, byte) => {}
                _ => columns += 1,
            }
        }
        if !after_tab {
            columns += self.cursor.line_start;
        }
        for _ in 0..8 - columns % 8 {
            self.raw(b"\x08", sink);
            self.cursor.back();
        }
    }
}
