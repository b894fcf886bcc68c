//! What a program of packets reads: [`View`].

use super::{ABS, BYTE, HALF, IND, Instruction, LD, LDX, LEN, MSH};
use crate::num::usize_of32;

/// Where `SKF_AD_*` begin, which are no places in the packet (linux/filter.h).
const ANCILLARY: u32 = 0xffff_f000;
/// Where places from the network's head on begin (`SKF_NET_OFF`).
const NETWORK: u32 = 0xfff0_0000;
/// One past the last of the `SKF_AD_*` (`SKF_AD_MAX`).
pub const EXTENSIONS: u32 = 64;
/// `SKF_AD_PROTOCOL`, `SKF_AD_IFINDEX`, `SKF_AD_HATYPE`, `SKF_AD_ALU_XOR_X`, `SKF_AD_RANDOM`.
const PROTOCOL: u32 = 0;
const INTERFACE: u32 = 8;
const HARDWARE: u32 = 28;
const XOR_X: u32 = 40;
const RANDOM: u32 = 56;
/// `ARPHRD_LOOPBACK` (linux/if_arp.h).
const LOOPBACK: u32 = 772;

/// Whether a load from this place is one that Linux knows.
pub(super) fn is_there(place: u32) -> bool {
    place < ANCILLARY || (place - ANCILLARY < EXTENSIONS && place.is_multiple_of(4))
}

/// A packet, as its receiver's filter sees it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The datagram from the network's head on, or a message of a family without such heads.
    pub datagram: &'a [u8],
    /// Where in it the receiver's part begins, which places are counted from.
    pub start: usize,
    /// What follows the hardware's head (`ETH_P_*`).
    pub protocol: u16,
    /// The interface it came by; 0: none.
    pub interface: u32,
    /// For a program that throws dice.
    pub random: fn() -> u32,
}

impl View<'_> {
    /// Bytes that the filter decides about.
    #[must_use]
    pub fn len(&self) -> usize {
        self.datagram.len().saturating_sub(self.start)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What an instruction loads. `None`: it lies outside, which ends the program.
    pub(super) fn load(&self, now: Instruction, a: u32, x: u32) -> Option<u32> {
        let (place, size) = (now.value, now.code & (HALF | BYTE));
        match now.code & !(HALF | BYTE) {
            code if code & !LDX == LD | LEN => u32::try_from(self.len()).ok(),
            code if code == LDX | MSH => self.at(place, BYTE).map(|byte| (byte & 15) * 4),
            code if code == LD | IND => self.at(place.wrapping_add(x), size),
            code if code == LD | ABS && place >= ANCILLARY => {
                Some(self.extra(place - ANCILLARY, a, x))
            }
            _ => self.at(place, size),
        }
    }

    fn at(&self, place: u32, size: u16) -> Option<u32> {
        let at = match place {
            NETWORK.. => usize_of32(place - NETWORK),
            _ => self.start.checked_add(usize_of32(place))?,
        };
        let bytes = self.datagram.get(at..)?;
        Some(match size {
            BYTE => u32::from(*bytes.first()?),
            HALF => u32::from(u16::from_be_bytes(*bytes.first_chunk()?)),
            _ => u32::from_be_bytes(*bytes.first_chunk()?),
        })
    }

    /// What isn't in the packet; 0 what a packet of the loopback interface doesn't have.
    fn extra(&self, what: u32, a: u32, x: u32) -> u32 {
        match what {
            PROTOCOL => self.protocol.into(),
            INTERFACE => self.interface,
            HARDWARE if self.interface != 0 => LOOPBACK,
            XOR_X => a ^ x,
            RANDOM => (self.random)(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ALU, MOD, Program, RET, RET_A, TAX, TXA, X};
    use super::*;
    use alloc::vec::Vec;

    /// A datagram of UDP from port 7 to port 9 with two bytes.
    const DATAGRAM: [u8; 30] = [
        0x45, 0, 0, 30, 0, 1, 0x40, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2, 0, 7, 0, 9, 0, 10,
        0, 0, b'h', b'i',
    ];

    fn answer(list: &[(u16, u32)]) -> Option<u32> {
        let list: Vec<_> = list
            .iter()
            .map(|&(code, value)| Instruction {
                code,
                on_true: 0,
                on_false: 0,
                value,
            })
            .collect();
        let view = View {
            datagram: &DATAGRAM,
            start: 20,
            protocol: 0x800,
            interface: 1,
            random: || 4,
        };
        Some(Program::of_packets(list).ok()?.run_on_packet(&view))
    }

    fn loaded(code: u16, value: u32) -> Option<u32> {
        answer(&[(code, value), (RET_A, 0)])
    }

    #[test]
    fn places_are_counted_from_the_receivers_part() {
        assert_eq!(loaded(LD | ABS, 0), Some(0x0007_0009));
        assert_eq!(loaded(LD | HALF | ABS, 2), Some(9));
        assert_eq!(loaded(LD | BYTE | ABS, 9), Some(b'i'.into()));
        assert_eq!(loaded(LD | BYTE | ABS, NETWORK + 9), Some(17));
        assert_eq!(loaded(LD | LEN, 0), Some(10));
    }

    #[test]
    fn what_lies_outside_ends_the_program() {
        let kept = |code, value| answer(&[(code, value), (RET, 99)]);
        assert_eq!(kept(LD | BYTE | ABS, 9), Some(99));
        assert_eq!(kept(LD | BYTE | ABS, 10), Some(0));
        assert_eq!(kept(LD | HALF | ABS, 9), Some(0));
        assert_eq!(kept(LD | ABS, 0x7fff_ffff), Some(0));
        assert_eq!(kept(LD | BYTE | IND, u32::MAX), Some(0));
    }

    #[test]
    fn places_may_be_computed() {
        let list = [
            (LDX | BYTE | MSH, NETWORK),
            (LD | BYTE | IND, NETWORK + 8),
            (RET_A, 0),
        ];
        assert_eq!(answer(&list), Some(b'h'.into()));
        let list = [(LD, 9), (TAX, 0), (LD, 12), (ALU | MOD | X, 0), (RET_A, 0)];
        assert_eq!(answer(&list), Some(3));
    }

    #[test]
    fn the_rest_is_known_of_the_packet() {
        let extra = |what| loaded(LD | ABS, ANCILLARY + what);
        assert_eq!(extra(PROTOCOL), Some(0x800));
        assert_eq!(extra(INTERFACE), Some(1));
        assert_eq!(extra(HARDWARE), Some(LOOPBACK));
        assert_eq!(extra(RANDOM), Some(4));
        assert_eq!(extra(4), Some(0));
        let list = [
            (LD, 9),
            (TAX, 0),
            (LD, 3),
            (LD | ABS, ANCILLARY + XOR_X),
            (RET_A, 0),
        ];
        assert_eq!(answer(&list), Some(10));
    }

    #[test]
    fn only_filters_of_packets_may_have_these() {
        for (code, value) in [
            (LD | HALF | ABS, 0),
            (LD | BYTE | IND, 0),
            (LDX | BYTE | MSH, 0),
            (ALU | MOD, 2),
        ] {
            let list = [(code, value), (RET, 0)];
            assert!(answer(&list).is_some(), "{code:x}");
            let list = list.map(|(code, value)| Instruction {
                code,
                on_true: 0,
                on_false: 0,
                value,
            });
            assert!(Program::of_calls(list.to_vec()).is_err(), "{code:x}");
        }
        for (code, value) in [
            (LD | HALF | BYTE | ABS, 0),
            (LD | ABS, ANCILLARY + EXTENSIONS),
            (LD | ABS, ANCILLARY + 1),
            (LDX | HALF | MSH, 0),
            (ALU | MOD, 0),
            (LDX | ABS, 0),
        ] {
            assert_eq!(answer(&[(code, value), (RET, 0)]), None, "{code:x}");
        }
        assert_eq!(answer(&[(TXA, 0)]), None);
    }
}
