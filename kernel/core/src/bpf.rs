//! Classic BPF: programs of system calls' numbers and arguments, as seccomp(2) takes them, and of packets, as
//! socket(7)'s `SO_ATTACH_FILTER` does.
//!
//! A [`Program`] has been checked, so running it ends, reads nothing outside its data and answers for every input.
//! What may be in one: net/core/filter.c's rules for classic programs, and kernel/seccomp.c's for filters
//! (linux/filter.h, linux/bpf_common.h name the codes). [`packet`] is what a packet's program reads.

use alloc::vec::Vec;

use crate::errno::Errno;
use crate::num::usize_of32;

pub mod packet;

use packet::View;

/// The words of `struct seccomp_data`.
pub const WORDS: usize = 16;
/// Most instructions of a program (`BPF_MAXINSNS`).
pub const MOST: usize = 4096;
/// Words that a program has for itself (`BPF_MEMWORDS`).
const CELLS: usize = 16;

// The parts of a code.
const LD: u16 = 0;
const LDX: u16 = 1;
const ST: u16 = 2;
const STX: u16 = 3;
const ALU: u16 = 4;
const JMP: u16 = 5;
const RET: u16 = 6;
const HALF: u16 = 8;
const BYTE: u16 = 0x10;
const ABS: u16 = 0x20;
const IND: u16 = 0x40;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
const MSH: u16 = 0xa0;
const X: u16 = 8;
const SUB: u16 = 0x10;
const MUL: u16 = 0x20;
const DIV: u16 = 0x30;
const OR: u16 = 0x40;
const AND: u16 = 0x50;
const LSH: u16 = 0x60;
const RSH: u16 = 0x70;
const NEG: u16 = 0x80;
const MOD: u16 = 0x90;
const XOR: u16 = 0xa0;
const JEQ: u16 = 0x10;
const JGT: u16 = 0x20;
const JGE: u16 = 0x30;
const JSET: u16 = 0x40;
const RET_A: u16 = RET | 0x10;
const TAX: u16 = 7;
const TXA: u16 = 7 | 0x80;

/// `struct sock_filter`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction {
    code: u16,
    on_true: u8,
    on_false: u8,
    value: u32,
}

impl Instruction {
    /// From a program's memory.
    #[must_use]
    pub const fn decode([a, b, on_true, on_false, value @ ..]: [u8; 8]) -> Self {
        Self {
            code: u16::from_le_bytes([a, b]),
            on_true,
            on_false,
            value: u32::from_le_bytes(value),
        }
    }

    /// For a program's memory.
    #[must_use]
    pub fn encode(self) -> [u8; 8] {
        let [a, b] = self.code.to_le_bytes();
        let [c, d, e, f] = self.value.to_le_bytes();
        [a, b, self.on_true, self.on_false, c, d, e, f]
    }

    /// Whether a filter of system calls may have it, wherever it stands.
    fn suits_calls(self) -> bool {
        match self.code {
            // Words only, at their own places.
            code if code == LD | ABS => self.value < 64 && self.value.is_multiple_of(4),
            code => code & !X != ALU | MOD && self.suits_both(),
        }
    }

    /// Whether a filter of packets may.
    fn suits_packets(self) -> bool {
        const SIZES: u16 = HALF | BYTE;
        match self.code {
            code if code & !SIZES == LD | ABS && code & SIZES != SIZES => {
                packet::is_there(self.value)
            }
            code if code & !SIZES == LD | IND && code & SIZES != SIZES => true,
            code if code == LDX | BYTE | MSH => true,
            _ => self.suits_both(),
        }
    }

    fn suits_both(self) -> bool {
        let (class, operation) = (self.code & 7, self.code & 0xf0);
        match self.code {
            code if code & !(LDX | LEN) == LD => true,
            code if code & !LDX == MEM || code == ST || code == STX => {
                usize_of32(self.value) < CELLS
            }
            RET | RET_A | TAX | TXA => true,
            code if code == ALU | NEG => true,
            code if class == ALU && code & !(X | 0xf7) == 0 => match operation {
                LSH | RSH => code & X != 0 || self.value < 32,
                DIV | MOD => code & X != 0 || self.value != 0,
                _ => operation <= AND || operation == XOR,
            },
            JMP => true,
            code if class == JMP && code & !(X | 0xf7) == 0 => (JEQ..=JSET).contains(&operation),
            _ => false,
        }
    }

    /// How far on it may go: taken, not taken. `None` when it isn't a jump.
    fn jumps(self) -> Option<[usize; 2]> {
        match self.code {
            JMP => Some([usize_of32(self.value); 2]),
            code if code & 7 == JMP => Some([self.on_true.into(), self.on_false.into()]),
            _ => None,
        }
    }
}

/// A program that can be run.
pub struct Program(Vec<Instruction>);

impl Program {
    /// Checks a program of system calls.
    ///
    /// # Errors
    /// `EINVAL` when it isn't one; `ENOMEM`.
    pub fn of_calls(mut list: Vec<Instruction>) -> Result<Self, Errno> {
        check(&list, Instruction::suits_calls)?;
        for each in &mut list {
            // The length of the data is no news.
            if each.code & !LDX == LEN {
                each.code &= !LEN;
                each.value = 64;
            }
        }
        Ok(Self(list))
    }

    /// Checks a program of packets.
    ///
    /// # Errors
    /// As [`Self::of_calls`].
    pub fn of_packets(list: Vec<Instruction>) -> Result<Self, Errno> {
        check(&list, Instruction::suits_packets)?;
        Ok(Self(list))
    }

    /// Its instructions; those of packets as they were given.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }

    /// How many instructions it has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What it answers for this call.
    #[must_use]
    pub fn run(&self, call: &[u32; WORDS]) -> u32 {
        self.execute(|now, _, _| {
            let word = usize_of32(now.value) / 4;
            Some(call.get(word).copied().unwrap_or(0))
        })
    }

    /// How many bytes of the packet are to be kept, as it answers; 0: the packet isn't wanted.
    #[must_use]
    pub fn run_on_packet(&self, packet: &View<'_>) -> u32 {
        self.execute(|now, a, x| packet.load(now, a, x))
    }

    /// Runs it; what reads data is answered by `load`, which knows both registers. Where that finds nothing, the
    /// answer is 0.
    fn execute(&self, load: impl Fn(Instruction, u32, u32) -> Option<u32>) -> u32 {
        let (mut a, mut x, mut cells, mut at) = (0u32, 0u32, [0u32; CELLS], 0);
        // Jumps go on only, so each instruction comes once at most.
        while let Some(&now) = self.0.get(at) {
            at += 1;
            let value = usize_of32(now.value);
            let operand = if now.code & X != 0 { x } else { now.value };
            match now.code & 7 {
                class @ (LD | LDX) => {
                    let loaded = match now.code & 0xe0 {
                        MEM => cells.get(value).copied().unwrap_or(0),
                        0 => now.value,
                        _ => match load(now, a, x) {
                            Some(found) => found,
                            None => return 0,
                        },
                    };
                    *(if class == LD { &mut a } else { &mut x }) = loaded;
                }
                class @ (ST | STX) => {
                    if let Some(cell) = cells.get_mut(value) {
                        *cell = if class == ST { a } else { x };
                    }
                }
                ALU => match compute(now.code & 0xf0, a, operand) {
                    Some(result) => a = result,
                    // Who divides by zero is answered 0.
                    None => return 0,
                },
                JMP => {
                    let taken = match now.code & 0xf0 {
                        JEQ => a == operand,
                        JGT => a > operand,
                        JGE => a >= operand,
                        JSET => a & operand != 0,
                        _ => true,
                    };
                    let [on_true, on_false] = now.jumps().unwrap_or_default();
                    at += if taken { on_true } else { on_false };
                }
                RET => return if now.code == RET_A { a } else { now.value },
                _ if now.code == TXA => a = x,
                _ => x = a,
            }
        }
        0
    }
}

fn compute(operation: u16, a: u32, operand: u32) -> Option<u32> {
    Some(match operation {
        SUB => a.wrapping_sub(operand),
        MUL => a.wrapping_mul(operand),
        DIV => return a.checked_div(operand),
        MOD => return a.checked_rem(operand),
        OR => a | operand,
        AND => a & operand,
        LSH => a.wrapping_shl(operand),
        RSH => a.wrapping_shr(operand),
        NEG => a.wrapping_neg(),
        XOR => a ^ operand,
        _ => a.wrapping_add(operand),
    })
}

/// It ends, and each instruction is allowed where it stands.
fn check(list: &[Instruction], suits: fn(Instruction) -> bool) -> Result<(), Errno> {
    let ends = |last: &Instruction| matches!(last.code, RET | RET_A);
    let fits = list.len() <= MOST && list.last().is_some_and(ends);
    if !fits || !list.iter().all(|each| suits(*each)) {
        return Err(Errno::EINVAL);
    }
    check_paths(list)
}

/// Jumps stay inside, and no cell is read that isn't written on every way to there.
fn check_paths(list: &[Instruction]) -> Result<(), Errno> {
    // The cells that are written whichever way one came.
    let mut known: Vec<u16> = Vec::new();
    known
        .try_reserve_exact(list.len())
        .map_err(|_| Errno::ENOMEM)?;
    known.resize(list.len(), u16::MAX);
    let mut written = 0u16;
    for (at, now) in list.iter().enumerate() {
        written &= known.get(at).copied().unwrap_or(0);
        if let Some(jumps) = now.jumps() {
            for far in jumps {
                let target = known.get_mut(at + 1 + far).ok_or(Errno::EINVAL)?;
                *target &= written;
            }
            // Nothing falls through to the next: its own entry says how one comes there.
            written = u16::MAX;
            continue;
        }
        let cell = 1u16.checked_shl(now.value).unwrap_or(0);
        match now.code {
            ST | STX => written |= cell,
            code if code & !LDX == MEM && written & cell == 0 => return Err(Errno::EINVAL),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
