//! Classic BPF as seccomp(2) takes it: programs of system calls' numbers and arguments.
//!
//! A [`Program`] has been checked, so running it ends, reads nothing outside its data and answers for every input.
//! What may be in one: net/core/filter.c's rules for classic programs, and kernel/seccomp.c's for filters
//! (linux/filter.h, linux/bpf_common.h name the codes).

use alloc::vec::Vec;

use crate::errno::Errno;
use crate::num::usize_of32;

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
const ABS: u16 = 0x20;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
const X: u16 = 8;
const SUB: u16 = 0x10;
const MUL: u16 = 0x20;
const DIV: u16 = 0x30;
const OR: u16 = 0x40;
const AND: u16 = 0x50;
const LSH: u16 = 0x60;
const RSH: u16 = 0x70;
const NEG: u16 = 0x80;
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

    /// Whether a filter may have it, wherever it stands.
    fn is_allowed(self) -> bool {
        let (class, operation) = (self.code & 7, self.code & 0xf0);
        match self.code {
            // Words only, at their own places.
            code if code == LD | ABS => self.value < 64 && self.value.is_multiple_of(4),
            code if code & !(LDX | LEN) == LD => true,
            code if code & !LDX == MEM || code == ST || code == STX => {
                usize_of32(self.value) < CELLS
            }
            RET | RET_A | TAX | TXA => true,
            code if code == ALU | NEG => true,
            code if class == ALU && code & !(X | 0xf7) == 0 => match operation {
                LSH | RSH => code & X != 0 || self.value < 32,
                DIV => code & X != 0 || self.value != 0,
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
    /// Checks a program.
    ///
    /// # Errors
    /// `EINVAL` when it isn't one; `ENOMEM`.
    pub fn new(mut list: Vec<Instruction>) -> Result<Self, Errno> {
        let ends = |last: &Instruction| matches!(last.code, RET | RET_A);
        if list.len() > MOST || !list.last().is_some_and(ends) {
            return Err(Errno::EINVAL);
        }
        if !list.iter().all(|each| each.is_allowed()) {
            return Err(Errno::EINVAL);
        }
        check_paths(&list)?;
        for each in &mut list {
            // The length of the data is no news.
            if each.code & !LDX == LEN {
                each.code &= !LEN;
                each.value = 64;
            }
        }
        Ok(Self(list))
    }

    /// How many instructions it has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What it answers for this data.
    #[must_use]
    pub fn run(&self, data: &[u32; WORDS]) -> u32 {
        let (mut a, mut x, mut cells, mut at) = (0u32, 0u32, [0u32; CELLS], 0);
        // Jumps go on only, so each instruction comes once at most.
        while let Some(&now) = self.0.get(at) {
            at += 1;
            let value = usize_of32(now.value);
            let operand = if now.code & X != 0 { x } else { now.value };
            match now.code & 7 {
                class @ (LD | LDX) => {
                    let loaded = match now.code & 0xe0 {
                        ABS => data.get(value / 4).copied().unwrap_or(0),
                        MEM => cells.get(value).copied().unwrap_or(0),
                        _ => now.value,
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
        OR => a | operand,
        AND => a & operand,
        LSH => a.wrapping_shl(operand),
        RSH => a.wrapping_shr(operand),
        NEG => a.wrapping_neg(),
        XOR => a ^ operand,
        _ => a.wrapping_add(operand),
    })
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
mod tests {
    use super::*;
    use alloc::vec;

    fn one(code: u16, on_true: u8, on_false: u8, value: u32) -> Instruction {
        Instruction {
            code,
            on_true,
            on_false,
            value,
        }
    }

    fn program(list: &[(u16, u8, u8, u32)]) -> Result<Program, Errno> {
        let list = list
            .iter()
            .map(|&(code, yes, no, value)| one(code, yes, no, value));
        Program::new(list.collect())
    }

    fn answer(list: &[(u16, u8, u8, u32)], first: u32) -> u32 {
        let mut data = [0; WORDS];
        data[0] = first;
        program(list).expect("a program").run(&data)
    }

    #[test]
    fn instructions_are_read_as_they_lie() {
        let bytes = [0x15, 0, 1, 2, 0x78, 0x56, 0x34, 0x12];
        assert_eq!(Instruction::decode(bytes), one(0x15, 1, 2, 0x1234_5678));
    }

    #[test]
    fn a_number_is_looked_for() {
        let list = [
            (LD | ABS, 0, 0, 0),
            (JMP | JEQ, 1, 0, 39),
            (RET, 0, 0, 0x7fff_0000),
            (RET, 0, 0, 0x5_0001),
        ];
        assert_eq!(answer(&list, 39), 0x5_0001);
        assert_eq!(answer(&list, 40), 0x7fff_0000);
    }

    #[test]
    fn arithmetic_wraps() {
        let with = |operation: u16, first, value| {
            let list = [
                (LD | ABS, 0, 0, 0),
                (ALU | operation, 0, 0, value),
                (RET_A, 0, 0, 0),
            ];
            answer(&list, first)
        };
        assert_eq!(with(0, u32::MAX, 2), 1);
        assert_eq!(with(SUB, 0, 1), u32::MAX);
        assert_eq!(with(MUL, 1 << 31, 2), 0);
        assert_eq!(with(DIV, 7, 2), 3);
        assert_eq!(with(OR, 5, 2), 7);
        assert_eq!(with(AND, 6, 3), 2);
        assert_eq!(with(LSH, 1, 31), 1 << 31);
        assert_eq!(with(RSH, 8, 2), 2);
        assert_eq!(with(NEG, 1, 0), u32::MAX);
        assert_eq!(with(XOR, 6, 3), 5);
    }

    #[test]
    fn dividing_by_zero_answers_zero() {
        let list = [
            (LD | ABS, 0, 0, 0),
            (TAX, 0, 0, 0),
            (ALU | DIV | X, 0, 0, 0),
            (RET, 0, 0, 9),
        ];
        assert_eq!(answer(&list, 0), 0);
        assert_eq!(answer(&list, 1), 9);
    }

    #[test]
    fn cells_and_the_index_keep_values() {
        let list = [
            (LD | ABS, 0, 0, 0),
            (ST, 0, 0, 15),
            (LDX | MEM, 0, 0, 15),
            (TXA, 0, 0, 0),
            (ALU | X, 0, 0, 0),
            (RET_A, 0, 0, 0),
        ];
        assert_eq!(answer(&list, 21), 42);
        assert_eq!(answer(&[(LEN, 0, 0, 5), (RET_A, 0, 0, 0)], 0), 64);
        assert_eq!(
            answer(&[(LDX | LEN, 0, 0, 5), (TXA, 0, 0, 0), (RET_A, 0, 0, 0)], 0),
            64
        );
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let end = (RET, 0, 0, 0);
        let refused: &[&[(u16, u8, u8, u32)]] = &[
            &[],
            &[(LD | ABS, 0, 0, 0)],
            &[(LD | ABS, 0, 0, 64), end],
            &[(LD | ABS, 0, 0, 2), end],
            // Halves, bytes, indirect loads, remainders, classic sockets' header length.
            &[(LD | 8 | ABS, 0, 0, 0), end],
            &[(LD | 0x10 | ABS, 0, 0, 0), end],
            &[(LD | 0x40, 0, 0, 0), end],
            &[(ALU | 0x90, 0, 0, 1), end],
            &[(0xb1, 0, 0, 0), end],
            &[(RET | X, 0, 0, 0)],
            &[(ALU | DIV, 0, 0, 0), end],
            &[(ALU | LSH, 0, 0, 32), end],
            &[(ST, 0, 0, 16), end],
            &[(JMP, 0, 0, 1), end],
            &[(JMP, 0, 0, u32::MAX), end],
            &[(JMP | JEQ, 0, 1, 0), end],
            &[(JMP | X, 0, 0, 0), end],
            &[(0x100 | ALU, 0, 0, 0), end],
            // A cell that nothing, or only one of two ways, has written.
            &[(LD | MEM, 0, 0, 0), end],
            &[
                (JMP | JEQ, 1, 0, 0),
                (ST, 0, 0, 0),
                (LD | MEM, 0, 0, 0),
                end,
            ],
        ];
        for list in refused {
            assert!(matches!(program(list), Err(Errno::EINVAL)), "{list:x?}");
        }
        assert!(program(&[(JMP, 0, 0, 1), end, (LD, 0, 0, 3), (RET_A, 0, 0, 0)]).is_ok());
        let long = vec![one(RET, 0, 0, 0); MOST + 1];
        assert!(Program::new(long).is_err());
    }

    #[test]
    fn every_checked_program_ends() {
        // A small generator of its own: any byte soup that passes the check is run.
        let mut seed = 1u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as u32
        };
        let mut run = 0;
        for _ in 0..20_000 {
            let length = next() % 6;
            let mut list: Vec<_> = (0..length)
                .map(|_| {
                    one(
                        (next() % 0x100) as u16,
                        (next() % 3) as u8,
                        (next() % 3) as u8,
                        next() % 40,
                    )
                })
                .collect();
            list.push(one(RET_A, 0, 0, 0));
            if let Ok(program) = Program::new(list) {
                let _ = program.run(&[next(); WORDS]);
                run += 1;
            }
        }
        assert!(run > 1000, "{run}");
    }
}
