//! A byte was typed: it stops or starts output, is a signal, edits or ends the line, or is the program's.

use super::erase::Erase;
use super::{CAPACITY, END_OF_FILE, Effect, LINE_END, Line};
use crate::abi;
use crate::num::low8;
use crate::tty::to_lower;

impl Line {
    /// A byte was typed.
    pub fn type_byte(&mut self, byte: u8, sink: &mut dyn FnMut(Effect<'_>)) {
        let mut byte = byte;
        if self.termios.input(abi::ISTRIP) {
            byte &= 0x7F;
        }
        if self.termios.input(abi::IUCLC) && self.termios.local(abi::IEXTEN) {
            byte = to_lower(byte);
        }
        if self.literal {
            self.literal = false;
            return self.ordinary(byte, false, sink);
        }
        if self.flow_control(byte, sink) || self.signal(byte, sink) {
            return;
        }
        let typed = byte;
        match byte {
            b'\r' if self.termios.input(abi::IGNCR) => return,
            b'\r' if self.termios.input(abi::ICRNL) => byte = b'\n',
            b'\n' if self.termios.input(abi::INLCR) => byte = b'\r',
            _ => {}
        }
        if !(self.canonical() && self.edit(byte, sink)) {
            self.ordinary(byte, typed != byte, sink);
        }
    }

    /// `VSTART`, `VSTOP`, and any key that starts again; whether the byte was one and is done with.
    fn flow_control(&mut self, byte: u8, sink: &mut dyn FnMut(Effect<'_>)) -> bool {
        if !self.termios.input(abi::IXON) {
            return false;
        }
        if self.termios.is(byte, abi::VSTART) {
            self.key_stops(false, sink);
            return true;
        }
        if self.termios.is(byte, abi::VSTOP) {
            self.key_stops(true, sink);
            return true;
        }
        if self.termios.input(abi::IXANY) {
            self.key_stops(false, sink);
        }
        false
    }

    fn key_stops(&mut self, stopped: bool, sink: &mut dyn FnMut(Effect<'_>)) {
        if self.set_stopped(stopped) {
            sink(Effect::Stopped(stopped));
        }
    }

    /// `VINTR`, `VQUIT`, `VSUSP`; whether the byte was one.
    fn signal(&mut self, byte: u8, sink: &mut dyn FnMut(Effect<'_>)) -> bool {
        if !self.termios.local(abi::ISIG) {
            return false;
        }
        let number = if self.termios.is(byte, abi::VINTR) {
            abi::SIGINT
        } else if self.termios.is(byte, abi::VQUIT) {
            abi::SIGQUIT
        } else if self.termios.is(byte, abi::VSUSP) {
            abi::SIGTSTP
        } else {
            return false;
        };
        sink(Effect::Signal(low8(number.into())));
        if !self.termios.local(abi::NOFLSH) {
            sink(Effect::FlushOutput);
            self.flush_input();
        }
        if self.termios.input(abi::IXON) {
            self.key_stops(false, sink);
        }
        if self.termios.local(abi::ECHO) {
            self.echo(byte, sink);
        }
        true
    }

    /// The keys that edit or end a line; whether the byte was one.
    fn edit(&mut self, byte: u8, sink: &mut dyn FnMut(Effect<'_>)) -> bool {
        let extended = self.termios.local(abi::IEXTEN);
        let echo = self.termios.local(abi::ECHO);
        let termios = self.termios;
        if termios.is(byte, abi::VERASE) {
            self.erase(Erase::Character, sink);
        } else if termios.is(byte, abi::VKILL) {
            self.kill(sink);
        } else if extended && termios.is(byte, abi::VWERASE) {
            self.erase(Erase::Word, sink);
        } else if extended && termios.is(byte, abi::VLNEXT) {
            self.literal = true;
            if echo {
                self.finish_erasing(sink);
                if termios.local(abi::ECHOCTL) {
                    self.post(b"^\x08", sink);
                }
            }
        } else if extended && echo && termios.is(byte, abi::VREPRINT) {
            self.reprint(byte, sink);
        } else if byte == b'\n' {
            if echo || termios.local(abi::ECHONL) {
                self.post(b"\n", sink);
            }
            self.end_line(u16::from(byte) | LINE_END);
        } else if termios.is(byte, abi::VEOF) {
            self.end_line(LINE_END | END_OF_FILE);
        } else if termios.is(byte, abi::VEOL) || extended && termios.is(byte, abi::VEOL2) {
            if echo {
                self.begin_line_echo();
                self.echo(byte, sink);
            }
            self.double_mark(byte);
            self.end_line(u16::from(byte) | LINE_END);
        } else {
            return false;
        }
        true
    }

    /// A byte for the program. A newline is shown as one only when it was made out of another byte.
    fn ordinary(&mut self, byte: u8, made: bool, sink: &mut dyn FnMut(Effect<'_>)) {
        if self.termios.local(abi::ECHO) {
            self.finish_erasing(sink);
            if made && byte == b'\n' {
                self.post(b"\n", sink);
            } else {
                self.begin_line_echo();
                self.echo(byte, sink);
            }
        }
        self.double_mark(byte);
        self.put(byte.into());
    }

    fn double_mark(&mut self, byte: u8) {
        if byte == 0xFF && self.termios.input(abi::PARMRK) {
            self.put(byte.into());
        }
    }

    /// Adds a cell; in a line too long it takes the last one's place.
    fn put(&mut self, cell: u16) {
        if self.cells.len() >= CAPACITY {
            if self.cells.len() <= self.readable {
                return;
            }
            self.cells.pop_back();
        }
        self.cells.push_back(cell);
        if !self.canonical() {
            self.readable = self.cells.len();
        }
    }

    fn end_line(&mut self, cell: u16) {
        self.put(cell);
        self.readable = self.cells.len();
    }
}
