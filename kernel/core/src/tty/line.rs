//! The line discipline: what typed bytes become before a program reads them, what is echoed, and
//! which of them are signals.

use alloc::collections::VecDeque;

use super::output::{Cursor, continues};
use super::{Termios, is_alphanumeric, to_lower};
use crate::abi;
use crate::num::low8;

/// Bytes a terminal holds for readers (`N_TTY_BUF_SIZE`), the end of a line included.
const CAPACITY: usize = 4096;

/// In a cell, beside the byte: a line ends here.
const LINE_END: u16 = 1 << 8;
/// And nothing of it is read: an end of file was typed.
const END_OF_FILE: u16 = 1 << 9;

/// What the discipline wants done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect<'a> {
    /// Send these bytes to the terminal.
    Echo(&'a [u8]),
    /// Send this signal to the foreground process group.
    Signal(u8),
    /// Forget what was written and isn't sent yet.
    FlushOutput,
    /// Hold writers up, or let them go on.
    Stopped(bool),
}

/// What a read gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// So many bytes.
    Bytes(usize),
    /// The end of the file was typed.
    End,
    /// Nothing is there.
    Nothing,
}

/// How long a read waits, and for how much; times in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Bytes that end the wait (no more than asked for).
    pub least: usize,
    /// How long for the first; `None`: for ever.
    pub first: Option<u64>,
    /// How long from one byte to the next; `None`: for ever.
    pub between: Option<u64>,
}

/// One terminal's input line and settings.
#[derive(Debug)]
pub struct Line {
    termios: Termios,
    /// Bytes with their marks, oldest first.
    cells: VecDeque<u16>,
    /// Cells, from the oldest on, that may be read: in canonical mode whole lines only.
    readable: usize,
    /// The next byte is taken as it is.
    literal: bool,
    /// An `ECHOPRT` erasure has begun with `\`.
    erasing: bool,
    cursor: Cursor,
    stopped: bool,
    /// A program stopped output (`TCOOFF`): no key starts it again.
    held: bool,
}

impl Line {
    /// An empty line with the default settings; `None` when memory has ended.
    #[must_use]
    pub fn new() -> Option<Self> {
        let mut cells = VecDeque::new();
        cells.try_reserve_exact(CAPACITY).ok()?;
        Some(Self {
            termios: Termios::default(),
            cells,
            readable: 0,
            literal: false,
            erasing: false,
            cursor: Cursor::default(),
            stopped: false,
            held: false,
        })
    }

    /// The settings.
    #[must_use]
    pub const fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Changes the settings. What was typed stays; in a change of mode it becomes readable as far
    /// as there is any.
    pub fn set_termios(&mut self, termios: Termios) {
        let changed = self.termios.local ^ termios.local;
        self.termios = termios;
        if changed & abi::ICANON != 0 {
            self.cells.iter_mut().for_each(|cell| *cell &= 0xFF);
            if termios.local(abi::ICANON)
                && let Some(last) = self.cells.back_mut()
            {
                *last |= LINE_END;
            }
            self.readable = self.cells.len();
            self.erasing = false;
            self.literal = false;
        }
    }

    /// Forgets what was typed and not read.
    pub fn flush_input(&mut self) {
        self.cells.clear();
        self.readable = 0;
        self.erasing = false;
        self.literal = false;
    }

    /// Whether another byte may be typed. When not, it must be kept until something was read.
    #[must_use]
    pub fn accepts(&self) -> bool {
        // A line too long is cut, not held up: its end must get through.
        let unfinished = self.canonical() && self.readable == 0;
        let free = CAPACITY - self.cells.len();
        let room = if self.termios.input(abi::PARMRK) {
            free.div_ceil(3)
        } else {
            free
        };
        unfinished || room > 1
    }

    /// Whether writers are held up (`VSTOP` was typed, or `TCOOFF`).
    #[must_use]
    pub const fn stopped(&self) -> bool {
        self.stopped
    }

    /// Holds writers up or lets them go on, as a key does. Answers whether that changed anything.
    pub fn set_stopped(&mut self, stopped: bool) -> bool {
        let changes = self.stopped != stopped && !self.held;
        if changes {
            self.stopped = stopped;
        }
        changes
    }

    /// Holds writers up (`TCOOFF`), against any key too, or lets them go on (`TCOON`). Answers
    /// whether that changed anything.
    pub fn hold(&mut self, held: bool) -> bool {
        if self.held == held {
            return false;
        }
        self.held = held;
        core::mem::replace(&mut self.stopped, held) != held
    }

    /// As it was made, with these settings: the terminal was hung up.
    pub fn reset(&mut self, termios: Termios) {
        self.set_termios(termios);
        self.flush_input();
        self.cursor = Cursor::default();
        self.stopped = false;
        self.held = false;
    }

    /// Bytes a read would get in all (`FIONREAD`).
    #[must_use]
    pub fn readable_len(&self) -> usize {
        let cells = self.cells.iter().take(self.readable);
        cells.filter(|cell| **cell & END_OF_FILE == 0).count()
    }

    /// Whether a read would not wait: a line, or in other modes enough bytes.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let least = if self.canonical() || self.termios.character(abi::VTIME) != 0 {
            1
        } else {
            usize::from(self.termios.character(abi::VMIN)).max(1)
        };
        self.readable >= least
    }

    /// Whether a read would get something.
    #[must_use]
    pub const fn has_input(&self) -> bool {
        self.readable > 0
    }

    /// How long a read waits.
    #[must_use]
    pub fn patience(&self) -> Patience {
        let (least, time) = if self.canonical() {
            (1, 0)
        } else {
            let minimum = self.termios.character(abi::VMIN);
            (minimum, self.termios.character(abi::VTIME))
        };
        let time = u64::from(time) * 100;
        Patience {
            least: usize::from(least.max(1)),
            first: (least == 0).then_some(time),
            between: (least > 0 && time > 0).then_some(time),
        }
    }

    /// Takes what may be read, in canonical mode a line at most.
    pub fn read(&mut self, into: &mut [u8]) -> Taken {
        if self.readable == 0 {
            return Taken::Nothing;
        }
        let canonical = self.canonical();
        let mut count = 0;
        for place in into.iter_mut() {
            let Some(cell) = self.take() else { break };
            if cell & END_OF_FILE != 0 {
                return if count == 0 {
                    Taken::End
                } else {
                    Taken::Bytes(count)
                };
            }
            *place = low8(cell.into());
            count += 1;
            if canonical && cell & LINE_END != 0 {
                return Taken::Bytes(count);
            }
        }
        // An end of file right behind what was asked for belongs to this read.
        let ended = self
            .cells
            .front()
            .is_some_and(|cell| cell & END_OF_FILE != 0);
        if count > 0 && ended && self.readable > 0 {
            self.take();
        }
        Taken::Bytes(count)
    }

    /// Sends bytes a program wrote, as the settings want them.
    pub fn write(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8])) {
        for byte in bytes {
            self.cursor.put(&self.termios, *byte, &mut sink);
        }
    }

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

    fn canonical(&self) -> bool {
        self.termios.local(abi::ICANON)
    }

    fn take(&mut self) -> Option<u16> {
        self.readable = self.readable.checked_sub(1)?;
        self.cells.pop_front()
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

    /// The cells of the line being typed.
    fn unfinished(&self) -> impl DoubleEndedIterator<Item = u8> {
        let cells = self.cells.range(self.readable.min(self.cells.len())..);
        cells.map(|cell| low8(u64::from(*cell)))
    }

    fn reprint(&mut self, byte: u8, sink: &mut dyn FnMut(Effect<'_>)) {
        self.finish_erasing(sink);
        self.echo(byte, sink);
        self.post(b"\n", sink);
        for index in self.readable..self.cells.len() {
            let cell = self.cells.get(index).copied().unwrap_or(0);
            self.echo(low8(cell.into()), sink);
        }
    }

    fn kill(&mut self, sink: &mut dyn FnMut(Effect<'_>)) {
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

    fn erase(&mut self, what: Erase, sink: &mut dyn FnMut(Effect<'_>)) {
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

    fn finish_erasing(&mut self, sink: &mut dyn FnMut(Effect<'_>)) {
        if core::mem::take(&mut self.erasing) {
            self.post(b"/", sink);
        }
    }

    /// Remembers the column, when the line being typed begins.
    fn begin_line_echo(&mut self) {
        if self.cells.len() <= self.readable {
            self.cursor.line_start = self.cursor.column;
        }
    }

    /// Shows a typed byte, a control character as `^X`.
    fn echo(&mut self, byte: u8, sink: &mut dyn FnMut(Effect<'_>)) {
        if self.termios.local(abi::ECHOCTL) && byte.is_ascii_control() && byte != b'\t' {
            self.raw(&[b'^', byte ^ 0x40], sink);
            self.cursor.column = self.cursor.column.saturating_add(2);
        } else if byte == 0xFF {
            // Linux's echo buffer has a use of its own for this one.
            self.raw(&[byte], sink);
            self.cursor.column = self.cursor.column.saturating_add(1);
        } else {
            self.post(&[byte], sink);
        }
    }

    /// Sends bytes as if a program wrote them.
    fn post(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Effect<'_>)) {
        for byte in bytes {
            let cursor = &mut self.cursor;
            cursor.put(&self.termios, *byte, &mut |bytes| sink(Effect::Echo(bytes)));
        }
    }

    fn raw(&self, bytes: &[u8], sink: &mut dyn FnMut(Effect<'_>)) {
        sink(Effect::Echo(bytes));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Erase {
    Character,
    Word,
    Line,
}
