//! I/O ports, as a program may use them: [`Ports`] says which (ioperm(2), iopl(2)), [`Access`] what an instruction
//! does with one.

use alloc::vec::Vec;

use crate::errno::Errno;

/// How many there are (`IO_BITMAP_BITS`, asm/processor.h).
const COUNT: usize = 65536;
const WORDS: usize = COUNT / 64;

/// The ports that a thread may use.
#[derive(Default, Debug)]
pub struct Ports {
    /// What iopl(2) said last, 0 to 3: above 0 it may use all.
    pub level: u8,
    /// A bit for each; empty: none.
    map: Vec<u64>,
}

impl Ports {
    /// The same again.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn copy(&self) -> Result<Self, Errno> {
        let mut map = Vec::new();
        map.try_reserve_exact(self.map.len())
            .map_err(|_| Errno::ENOMEM)?;
        map.extend_from_slice(&self.map);
        Ok(Self {
            level: self.level,
            map,
        })
    }

    /// Allows `count` ports from the first on, or allows them no more.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn allow(&mut self, from: u16, count: usize, on: bool) -> Result<(), Errno> {
        if on && self.map.is_empty() {
            self.map
                .try_reserve_exact(WORDS)
                .map_err(|_| Errno::ENOMEM)?;
            self.map.resize(WORDS, 0);
        }
        let from = usize::from(from);
        for port in from..COUNT.min(from.saturating_add(count)) {
            if let Some(word) = self.map.get_mut(port / 64) {
                let bit = 1 << (port % 64);
                *word = *word & !bit | if on { bit } else { 0 };
            }
        }
        Ok(())
    }

    /// Whether these bytes of ports may be used.
    #[must_use]
    pub fn may(&self, port: u16, size: usize) -> bool {
        let mut ports = usize::from(port)..usize::from(port) + size;
        let allowed = |port: usize| {
            self.map
                .get(port / 64)
                .is_some_and(|word| word >> (port % 64) & 1 != 0)
        };
        self.level > 0 || ports.all(allowed)
    }
}

/// An instruction that uses a port (Intel SDM volume 2: IN, INS, OUT, OUTS).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Bytes of the instruction.
    pub len: u8,
    /// Bytes that it moves: 1, 2 or 4.
    pub size: usize,
    /// The port, where it isn't DX's.
    pub port: Option<u8>,
    /// To the port.
    pub out: bool,
    /// From or to memory, not the accumulator.
    pub string: bool,
    /// As often as RCX says.
    pub repeats: bool,
}

impl Access {
    /// What the instruction at the start of these bytes is. `None`: another, or one with 32-bit addresses.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let is_prefix = |byte: &&u8| {
            matches!(
                byte,
                0x26 | 0x2E | 0x36 | 0x3E | 0x64 | 0x65 | 0x66 | 0xF2 | 0xF3 | 0x40..=0x4F
            )
        };
        let prefixes = bytes.iter().take_while(is_prefix).count();
        let has = |wanted: u8| bytes.iter().take(prefixes).any(|byte| *byte == wanted);
        let code = *bytes.get(prefixes)?;
        let immediate = match code {
            0xE4..=0xE7 => Some(*bytes.get(prefixes + 1)?),
            0xEC..=0xEF | 0x6C..=0x6F => None,
            _ => return None,
        };
        let wide = if has(0x66) { 2 } else { 4 };
        Some(Self {
            len: u8::try_from(prefixes + 1 + usize::from(immediate.is_some())).ok()?,
            size: if code & 1 == 0 { 1 } else { wide },
            port: immediate,
            out: code & 2 != 0,
            string: code < 0x70,
            repeats: code < 0x70 && (has(0xF2) || has(0xF3)),
        })
    }
}

/// The accumulator after all ones came from a port.
#[must_use]
pub fn accumulator(rax: u64, size: usize) -> u64 {
    match size {
        1 => rax | 0xFF,
        2 => rax | 0xFFFF,
        _ => 0xFFFF_FFFF,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_an_access_must_be_allowed() {
        let mut ports = Ports::default();
        assert!(!ports.may(0x80, 1));
        ports.allow(0x80, 2, true).unwrap();
        assert!(ports.may(0x80, 2) && ports.may(0x81, 1));
        assert!(!ports.may(0x80, 4) && !ports.may(0x7F, 2) && !ports.may(0x82, 1));
        ports.allow(0x81, 1, false).unwrap();
        assert!(ports.may(0x80, 1) && !ports.may(0x80, 2));
        ports.allow(0xFFFF, 1, true).unwrap();
        assert!(ports.may(0xFFFF, 1) && !ports.may(0xFFFF, 2));
        ports.level = 3;
        assert!(ports.may(0xFFFF, 4) && ports.may(0, 1));
        let copy = ports.copy().unwrap();
        assert_eq!((copy.level, copy.map), (3, ports.map));
    }

    #[test]
    fn taking_away_needs_no_memory() {
        let mut ports = Ports::default();
        ports.allow(0, COUNT, false).unwrap();
        assert!(ports.map.is_empty());
    }

    #[test]
    fn instructions_are_told_apart() {
        let access = |len, size, port, out| Access {
            len,
            size,
            port,
            out,
            string: false,
            repeats: false,
        };
        assert_eq!(
            Access::decode(&[0xE4, 0x80, 9]),
            Some(access(2, 1, Some(0x80), false))
        );
        assert_eq!(
            Access::decode(&[0xE7, 0x80]),
            Some(access(2, 4, Some(0x80), true))
        );
        assert_eq!(Access::decode(&[0xEC]), Some(access(1, 1, None, false)));
        assert_eq!(
            Access::decode(&[0x66, 0xEF]),
            Some(access(2, 2, None, true))
        );
        assert_eq!(
            Access::decode(&[0x48, 0xED]),
            Some(access(2, 4, None, false))
        );
        let string = Access {
            string: true,
            repeats: true,
            ..access(2, 1, None, false)
        };
        assert_eq!(Access::decode(&[0xF3, 0x6C]), Some(string));
        let out = Access::decode(&[0x66, 0x6F]).unwrap();
        assert!(out.out && out.string && !out.repeats && out.size == 2);
        for other in [
            &[][..],
            &[0xE4],
            &[0x90],
            &[0xF4],
            &[0x67, 0x6C],
            &[0x66; 15],
            &[0x0F, 0xE4],
        ] {
            assert_eq!(Access::decode(other), None, "{other:x?}");
        }
    }

    #[test]
    fn narrow_reads_leave_the_rest() {
        assert_eq!(accumulator(0x1122_3344_5566_7700, 1), 0x1122_3344_5566_77FF);
        assert_eq!(accumulator(0x1122_3344_5566_7700, 2), 0x1122_3344_5566_FFFF);
        assert_eq!(accumulator(0x1122_3344_5566_7700, 4), 0xFFFF_FFFF);
    }
}
