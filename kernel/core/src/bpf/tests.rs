//! Tests of the check, and of running programs of system calls.

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
    Program::of_calls(list.collect())
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
    assert!(Program::of_calls(long).is_err());
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
        if let Ok(program) = Program::of_calls(list) {
            let _ = program.run(&[next(); WORDS]);
            run += 1;
        }
    }
    assert!(run > 1000, "{run}");
}
