//! What happens to bytes on their way out: `OPOST` and its flags, and the column they leave the
//! cursor in.

use super::{Termios, to_upper};
use crate::abi;

/// Where the cursor is.
#[derive(Clone, Copy, Default, Debug)]
pub struct Cursor {
    /// Characters from the left.
    pub column: u32,
    /// The column in which the line being typed began.
    pub line_start: u32,
}

/// Whether `byte` continues a character that began before it.
#[must_use]
pub const fn continues(termios: &Termios, byte: u8) -> bool {
    termios.input(abi::IUTF8) && byte & 0xC0 == 0x80
}

impl Cursor {
    /// Sends one byte as the settings want it.
    pub fn put(&mut self, termios: &Termios, byte: u8, sink: &mut impl FnMut(&[u8])) {
        if !termios.output(abi::OPOST) {
            return sink(&[byte]);
        }
        match byte {
            b'\n' if termios.output(abi::ONLCR) => {
                self.return_to_start();
                sink(b"\r\n");
            }
            b'\n' => {
                if termios.output(abi::ONLRET) {
                    self.column = 0;
                }
                self.line_start = self.column;
                sink(b"\n");
            }
            b'\r' if termios.output(abi::ONOCR) && self.column == 0 => {}
            b'\r' if termios.output(abi::OCRNL) => {
                if termios.output(abi::ONLRET) {
                    self.return_to_start();
                }
                sink(b"\n");
            }
            b'\r' => {
                self.return_to_start();
                sink(b"\r");
            }
            b'\t' => self.tab(termios, sink),
            b'\x08' => {
                self.back();
                sink(b"\x08");
            }
            _ => self.character(termios, byte, sink),
        }
    }

    /// One column back, as a backspace goes.
    pub const fn back(&mut self) {
        self.column = self.column.saturating_sub(1);
    }

    const fn return_to_start(&mut self) {
        self.column = 0;
        self.line_start = 0;
    }

    fn tab(&mut self, termios: &Termios, sink: &mut impl FnMut(&[u8])) {
        let spaces = 8 - self.column % 8;
        self.column += spaces;
        if termios.output & abi::TABDLY == abi::XTABS {
            (0..spaces).for_each(|_| sink(b" "));
        } else {
            sink(b"\t");
        }
    }

    fn character(&mut self, termios: &Termios, byte: u8, sink: &mut impl FnMut(&[u8])) {
        let byte = if termios.output(abi::OLCUC) {
            to_upper(byte)
        } else {
            byte
        };
        if !byte.is_ascii_control() && !continues(termios, byte) {
            self.column = self.column.saturating_add(1);
        }
        sink(&[byte]);
    }
}
