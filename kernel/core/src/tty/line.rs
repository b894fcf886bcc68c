//! The line discipline: what typed bytes become before a program reads them, what is echoed, and
//! which of them are signals.
//!
//! [`Line`] is a terminal's settings, what was typed and can be read, and whether output is stopped.
//! [`typing`] takes a byte in, [`erase`] has the keys that take bytes away again, [`echo`] shows both.

mod echo;
mod erase;
mod typing;

use alloc::collections::VecDeque;

use super::Termios;
use super::output::Cursor;
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

    fn canonical(&self) -> bool {
        self.termios.local(abi::ICANON)
    }

    fn take(&mut self) -> Option<u16> {
        self.readable = self.readable.checked_sub(1)?;
        self.cells.pop_front()
    }
}
