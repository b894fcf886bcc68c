//! Frames against Linux's offsets, and what a program may have made of one.

use super::*;

fn frame() -> Frame {
    Frame {
        restorer: 0x40_0100,
        registers: Registers {
            general: core::array::from_fn(|i| i as u64 + 1),
            rip: 0x40_0000,
            rflags: 0x246,
            cs: USER_CODE,
            ss: USER_DATA,
            fault: [4, 14, 0xdead],
        },
        alt: AltStack {
            base: 0x7000,
            size: 0x2000,
            flags: 0,
        },
        alt_flags: 0,
        mask: SigSet::of(&[Signal::USR2]),
        fpstate: 0x7fff_0000,
        xsave: true,
        strict_ss: true,
    }
}

#[test]
fn offsets_are_linux_s() {
    assert_eq!(FRAME_SIZE, 440);
    let bytes = frame().encode(&SigInfo::kernel(Signal::USR1));
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    // gregs: REG_R8 = 0 … REG_RIP = 16, REG_EFL = 17, REG_CSGSFS = 18, REG_CR2 = 22.
    let gregs = 8 + 40;
    assert_eq!(word(gregs), 1);
    assert_eq!(word(gregs + 15 * 8), 16);
    assert_eq!(word(gregs + 16 * 8), 0x40_0000);
    assert_eq!(word(gregs + 18 * 8), 0x002b_0000_0000_0033);
    assert_eq!(word(gregs + 20 * 8), 14);
    assert_eq!(word(gregs + 22 * 8), 0xdead);
    assert_eq!(word(gregs + 23 * 8), 0x7fff_0000);
    assert_eq!(word(8 + 296), 1 << 11);
    assert_eq!(word(312) & 0xff, 10);
}

#[test]
fn comes_back() {
    let bytes = frame().encode(&SigInfo::kernel(Signal::USR1));
    assert_eq!(Frame::decode(&bytes, 0x202), frame());
}

#[test]
fn hostile_values_are_cut() {
    let mut bytes = frame().encode(&SigInfo::kernel(Signal::USR1));
    bytes[304..312].fill(0xff);
    bytes[8 + 40 + 136..][..8].fill(0xff);
    let back = Frame::decode(&bytes, 0x202);
    assert!(!back.mask.contains(Signal::KILL));
    assert_eq!(back.registers.rflags, USER_FLAGS | 0x202);
    // The kernel's code segment becomes one that no program can enter.
    bytes[8 + 40 + 144] = 0x10;
    assert_eq!(Frame::decode(&bytes, 0x202).registers.cs, 0x13);
}

#[test]
fn placed_aligned_below_the_red_zone() {
    let place = place(0x7fff_ffff_0123, &AltStack::default(), true, 836).unwrap();
    assert_eq!(place.fpstate % 64, 0);
    assert_eq!((place.frame + 8) % 16, 0);
    assert!(place.fpstate + 836 <= 0x7fff_ffff_0123 - 128);
    assert!(place.frame + FRAME_SIZE as u64 <= place.fpstate);
}

#[test]
fn alternate_stack() {
    let alt = frame().alt;
    let on = place(0x7fff_ffff_0000, &alt, true, 512).unwrap();
    assert!(alt.covers(on.frame));
    assert_eq!(
        place(0x7fff_ffff_0000, &alt, false, 512).unwrap().fpstate,
        0x7fff_fffe_fd80
    );
    // Already on it: below the interrupted pointer, until it is full.
    assert!(place(0x8000, &alt, true, 512).unwrap().frame < 0x8000);
    assert_eq!(place(0x7100, &alt, true, 512), None);
    assert_eq!(alt.told_flags(0x8000), abi::SS_ONSTACK);
    assert_eq!(alt.told_flags(0x7000), 0);
}

#[test]
fn xstate_marks() {
    let mut area = [0; FXSAVE_SIZE];
    let good = |_| Some(magic2());
    assert_eq!(marked_xstate(&area, 1024, good), None);
    let tail = xstate_tail(832, 7);
    area[TAIL_AT..].copy_from_slice(&tail[..FXSAVE_SIZE - TAIL_AT]);
    assert!(
        is_unchanged(&tail, 832, 7) && !is_unchanged(&tail, 840, 7) && !is_unchanged(&tail, 832, 3)
    );
    for (at, fine) in [
        (0, false),
        (47, false),
        (48, true),
        (49, false),
        (56, false),
        (TAIL_SIZE - 1, false),
    ] {
        let mut other = tail;
        other[at] ^= 4;
        assert_eq!(is_unchanged(&other, 832, 7), fine, "{at}");
    }
    let marked = Xstate {
        size: 832,
        features: 7,
    };
    assert_eq!(marked_xstate(&area, 1024, good), Some(marked));
    assert_eq!(marked_xstate(&area, 831, good), None);
    assert_eq!(marked_xstate(&area, 1024, |_| Some([0; 4])), None);
}
