//! Terminals: the settings a program sees ([`Termios`], [`WindowSize`]) and the line discipline
//! between it and the wire ([`line::Line`], Linux's `N_TTY`); and what lies between the two sides of
//! a pseudo terminal ([`waiting`], [`packet`]).
//!
//! The source is termios(3) and ioctl_tty(2), with Linux's behaviour where they are silent.
//! Neighbours: the kernel's `fs::tty`, which has the wire, the waiters and the signals.

pub mod line;
pub mod output;
pub mod packet;
pub mod waiting;

use crate::abi;
use crate::num::low16;

/// Bytes of the kernel's `struct termios`, which `TCGETS` copies (asm-generic/termbits.h).
pub const TERMIOS_LEN: usize = 36;
/// Bytes of `struct termios2`, for `TCGETS2`.
pub const TERMIOS2_LEN: usize = 44;
/// Bytes of the older `struct termio`, for `TCGETA` (asm-generic/termios.h), and how many control
/// characters it has.
pub const TERMIO_LEN: usize = 18;
const OLD_CC_COUNT: usize = 8;
/// Bytes of `struct winsize`.
pub const WINDOW_SIZE_LEN: usize = 8;

/// Control characters there are.
const CC_COUNT: usize = 19;

/// A terminal's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Termios {
    /// `c_iflag`.
    pub input: u32,
    /// `c_oflag`.
    pub output: u32,
    /// `c_cflag`.
    pub control: u32,
    /// `c_lflag`.
    pub local: u32,
    /// `c_line`, the line discipline's number; 0 is `N_TTY`.
    pub discipline: u8,
    /// `c_cc`, the control characters; 0 is none.
    pub characters: [u8; CC_COUNT],
    /// Speeds in bits per second, input and output.
    pub speeds: [u32; 2],
}

impl Default for Termios {
    /// What a terminal has when it is first opened.
    fn default() -> Self {
        let characters: [(u32, u8); 13] = [
            (abi::VINTR, 0x03),
            (abi::VQUIT, 0x1C),
            (abi::VERASE, 0x7F),
            (abi::VKILL, 0x15),
            (abi::VEOF, 0x04),
            (abi::VMIN, 1),
            (abi::VSTART, 0x11),
            (abi::VSTOP, 0x13),
            (abi::VSUSP, 0x1A),
            (abi::VREPRINT, 0x12),
            (abi::VDISCARD, 0x0F),
            (abi::VWERASE, 0x17),
            (abi::VLNEXT, 0x16),
        ];
        let mut termios = Self {
            input: abi::ICRNL | abi::IXON,
            output: abi::OPOST | abi::ONLCR,
            control: abi::B38400 | abi::CS8 | abi::CREAD | abi::HUPCL,
            local: abi::ISIG
                | abi::ICANON
                | abi::ECHO
                | abi::ECHOE
                | abi::ECHOK
                | abi::ECHOCTL
                | abi::ECHOKE
                | abi::IEXTEN,
            discipline: 0,
            characters: [0; CC_COUNT],
            speeds: [38400; 2],
        };
        for (index, value) in characters {
            if let Some(place) = termios.characters.get_mut(crate::num::usize_of32(index)) {
                *place = value;
            }
        }
        termios
    }
}

impl Termios {
    /// Whether a flag of `c_lflag` is set.
    #[must_use]
    pub const fn local(&self, flag: u32) -> bool {
        self.local & flag != 0
    }

    /// Whether a flag of `c_iflag` is set.
    #[must_use]
    pub const fn input(&self, flag: u32) -> bool {
        self.input & flag != 0
    }

    /// Whether a flag of `c_oflag` is set.
    #[must_use]
    pub const fn output(&self, flag: u32) -> bool {
        self.output & flag != 0
    }

    /// The control character `index` (`VINTR`, …); 0 is none.
    #[must_use]
    pub fn character(&self, index: u32) -> u8 {
        let place = self.characters.get(crate::num::usize_of32(index));
        place.copied().unwrap_or(0)
    }

    /// Whether `byte` is the control character `index`.
    #[must_use]
    pub fn is(&self, byte: u8, index: u32) -> bool {
        byte != 0 && byte == self.character(index)
    }

    /// As `struct termios`.
    #[must_use]
    pub fn encode(&self) -> [u8; TERMIOS_LEN] {
        let mut bytes = [0; TERMIOS_LEN];
        let words = [self.input, self.output, self.control, self.local];
        let (flags, rest) = bytes.split_at_mut(16);
        for (place, word) in flags.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        if let [discipline, characters @ ..] = rest {
            *discipline = self.discipline;
            characters.copy_from_slice(&self.characters);
        }
        bytes
    }

    /// As `struct termio`: the lower halves of the flags, and eight control characters.
    #[must_use]
    pub fn encode_old(&self) -> [u8; TERMIO_LEN] {
        let mut bytes = [0; TERMIO_LEN];
        let words = [self.input, self.output, self.control, self.local];
        let (flags, rest) = bytes.split_at_mut(8);
        for (place, word) in flags.as_chunks_mut::<2>().0.iter_mut().zip(words) {
            *place = low16(word.into()).to_le_bytes();
        }
        if let [discipline, characters @ ..] = rest {
            *discipline = self.discipline;
            let own = self.characters.iter().take(OLD_CC_COUNT);
            for (place, byte) in characters.iter_mut().zip(own) {
                *place = *byte;
            }
        }
        bytes
    }

    /// With what a `struct termio` says in place of its part of the settings.
    #[must_use]
    pub fn with_old(mut self, bytes: &[u8; TERMIO_LEN]) -> Self {
        let (flags, rest) = bytes.split_at(8);
        let own = [
            &mut self.input,
            &mut self.output,
            &mut self.control,
            &mut self.local,
        ];
        for (flags, half) in own.into_iter().zip(flags.as_chunks::<2>().0) {
            *flags = *flags & !0xFFFF | u32::from(u16::from_le_bytes(*half));
        }
        if let [discipline, characters @ ..] = rest {
            self.discipline = *discipline;
            let own = self.characters.iter_mut().take(OLD_CC_COUNT);
            for (place, byte) in own.zip(characters) {
                *place = *byte;
            }
        }
        self.with_named_speed(self.speeds)
    }

    /// With the speeds that `c_cflag` names, or, where it says that it names none, with these.
    #[must_use]
    pub fn with_named_speed(mut self, otherwise: [u32; 2]) -> Self {
        self.speeds = match self.control & abi::CBAUD {
            abi::BOTHER => otherwise,
            code => [speed_of(code); 2],
        };
        self
    }

    /// As `struct termios2`.
    #[must_use]
    pub fn encode2(&self) -> [u8; TERMIOS2_LEN] {
        let mut bytes = [0; TERMIOS2_LEN];
        let (head, tail) = bytes.split_at_mut(TERMIOS_LEN);
        head.copy_from_slice(&self.encode());
        for (place, speed) in tail.as_chunks_mut::<4>().0.iter_mut().zip(self.speeds) {
            *place = speed.to_le_bytes();
        }
        bytes
    }

    /// Reads a `struct termios`; the speeds are those of `c_cflag`, if it names any.
    #[must_use]
    pub fn decode(bytes: &[u8; TERMIOS_LEN]) -> Self {
        let word = |at: usize| {
            let place = bytes.get(at..).and_then(<[u8]>::first_chunk);
            u32::from_le_bytes(place.copied().unwrap_or_default())
        };
        let mut characters = [0; CC_COUNT];
        for (place, byte) in characters.iter_mut().zip(bytes.iter().skip(17)) {
            *place = *byte;
        }
        let control = word(8);
        let speed = speed_of(control & abi::CBAUD);
        Self {
            input: word(0),
            output: word(4),
            control,
            local: word(12),
            discipline: bytes.get(16).copied().unwrap_or(0),
            characters,
            speeds: [speed; 2],
        }
    }

    /// Reads a `struct termios2`.
    #[must_use]
    pub fn decode2(bytes: &[u8; TERMIOS2_LEN]) -> Self {
        let Some((head, tail)) = bytes.split_first_chunk::<TERMIOS_LEN>() else {
            return Self::default();
        };
        let mut termios = Self::decode(head);
        if termios.control & abi::CBAUD == abi::BOTHER {
            for (speed, word) in termios.speeds.iter_mut().zip(tail.as_chunks::<4>().0) {
                *speed = u32::from_le_bytes(*word);
            }
        }
        termios
    }
}

/// Bits per second of a speed code (`B9600`, …); 0 for those that mean none.
const fn speed_of(code: u32) -> u32 {
    match code {
        abi::B50 => 50,
        abi::B75 => 75,
        abi::B110 => 110,
        abi::B134 => 134,
        abi::B150 => 150,
        abi::B200 => 200,
        abi::B300 => 300,
        abi::B600 => 600,
        abi::B1200 => 1200,
        abi::B1800 => 1800,
        abi::B2400 => 2400,
        abi::B4800 => 4800,
        abi::B9600 => 9600,
        abi::B19200 => 19200,
        abi::B38400 => 38400,
        abi::B57600 => 57600,
        abi::B115200 => 115_200,
        abi::B230400 => 230_400,
        abi::B460800 => 460_800,
        abi::B921600 => 921_600,
        _ => 0,
    }
}

/// A window's size (`struct winsize`).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
    /// Width and height in pixels, which nobody here knows.
    pub pixels: [u16; 2],
}

impl WindowSize {
    /// As `struct winsize`.
    #[must_use]
    pub const fn encode(&self) -> [u8; WINDOW_SIZE_LEN] {
        let [a, b] = self.rows.to_le_bytes();
        let [c, d] = self.columns.to_le_bytes();
        let [width, height] = self.pixels;
        let [e, f] = width.to_le_bytes();
        let [g, h] = height.to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }

    /// Reads a `struct winsize`.
    #[must_use]
    pub const fn decode(bytes: [u8; WINDOW_SIZE_LEN]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self {
            rows: u16::from_le_bytes([a, b]),
            columns: u16::from_le_bytes([c, d]),
            pixels: [u16::from_le_bytes([e, f]), u16::from_le_bytes([g, h])],
        }
    }
}

/// Whether Linux calls `byte` a letter or digit: in ISO 8859-1, whatever the terminal's encoding.
const fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0xC0 && byte != 0xD7 && byte != 0xF7
}

/// `byte` as a capital, in ISO 8859-1.
const fn to_upper(byte: u8) -> u8 {
    match byte {
        0xE0..=0xF6 | 0xF8..=0xFF => byte - 0x20,
        _ => byte.to_ascii_uppercase(),
    }
}

/// `byte` as a small letter, in ISO 8859-1.
const fn to_lower(byte: u8) -> u8 {
    match byte {
        0xC0..=0xD6 | 0xD8..=0xDE => byte + 0x20,
        _ => byte.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_settings_are_a_part() {
        let full = Termios {
            local: Termios::default().local | abi::EXTPROC,
            ..Termios::default()
        };
        assert_eq!(full.with_old(&full.encode_old()), full);
        let mut bytes = full.encode_old();
        bytes[0] = 0;
        bytes[9] = 9;
        let changed = full.with_old(&bytes);
        assert_eq!(changed.input & 0xFF, 0);
        assert_eq!(changed.character(abi::VINTR), 9);
        assert_eq!(changed.local, full.local, "upper halves stay");
    }
}
