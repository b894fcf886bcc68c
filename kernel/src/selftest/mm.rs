//! Frames, copies, page tables; and what they cost.

use alloc::vec::Vec;
use kiln_core::addr::UserAddr;

use super::arch::space;
use crate::arch::time;
use crate::arch::user::{self, UserContext};
use crate::mm::frame::{self, FrameRef};
use crate::mm::paging::{Gather, PageFlags, UserTables};
use crate::mm::user as copies;

/// Many pages at once, in several tables, some of them where tables begin and end.
fn tables_give_back_all() {
    let before = frame::stats().free;
    let mut tables = space(&[]);
    let mut gather = Gather::new();
    let mut count = 2;
    for va in (0x3F_F000..)
        .step_by(4096)
        .take(1500)
        .chain([0x7FFF_FFE0_0000, 0x5555_5555_5000])
    {
        let Ok(frame) = FrameRef::alloc() else { break };
        assert!(
            tables
                .map(UserAddr::new(va), frame, PageFlags::WRITE, &mut gather)
                .is_ok()
        );
        count += 1;
    }
    assert_eq!(tables.resident(), count);
    tables.unmap_range(
        UserAddr::new(0x40_1000),
        UserAddr::new(0x7000_0000_0000),
        &mut gather,
    );
    assert_eq!(tables.resident(), 2 + 2 + 1);
    gather.flush();
    assert!(tables.lookup(UserAddr::new(0x40_0000)).is_some());
    assert!(tables.lookup(UserAddr::new(0x40_1000)).is_none());
    assert!(tables.lookup(UserAddr::new(0x7FFF_FFE0_0000)).is_some());
    drop(tables);
    drop(gather);
    let after = frame::stats().free;
    // A slab or two, and records of a section, may stay in use.
    assert!(before - after.min(before) <= 40, "{before} {after}");
}

pub(super) fn all_memory_comes_back() {
    tables_give_back_all();
    let wanted = frame::stats().free;
    let mut frames = Vec::new();
    assert!(frames.try_reserve_exact(wanted).is_ok());
    let before = frame::stats().free;
    frames.extend((0..wanted).map_while(|_| FrameRef::alloc().ok()));
    let got = frames.len();
    drop(frames);
    let after = frame::stats().free;
    // What is missing is the records of the sections taken into use.
    assert!(before - after <= before / 128 + 8, "{before} {after}");
    // The list's own memory has come back too, and wasn't there for the frames.
    let list = wanted * size_of::<FrameRef>() / kiln_core::addr::PAGE_SIZE + 2;
    assert!(got + list >= after.min(wanted), "{got} {after}");
}

/// Long copies, which may move much at once, stop at the same byte as short ones.
fn long_copies() {
    let pattern: Vec<u8> = (0..=250).cycle().take(2000).collect();
    for start in [0x2E00, 0x2E03, 0x2D01, 0x2C00, 0x2FFF] {
        let tables = space(&[]);
        let (at, room) = (
            UserAddr::new(start),
            kiln_core::num::usize_of(0x3000 - start),
        );
        let fault = copies::copy_out(at, &pattern);
        assert!(fault.is_err_and(|fault| fault.done == room && fault.addr.raw() == 0x3000));
        let mut back = Vec::from([0xEE; 100]);
        back.resize(2000, 0xEE);
        let fault = copies::copy_in(&mut back, at);
        assert!(fault.is_err_and(|fault| fault.done == room && !fault.write));
        assert!(back.iter().zip(&pattern).take(room).all(|(a, b)| a == b));
        assert!(back.iter().skip(room).all(|byte| *byte == 0xEE));
        assert!(copies::zero_out(at, 1500).is_err_and(|fault| fault.done == room));
        assert!(copies::copy_in(&mut back, at).is_err());
        assert!(back.iter().take(room).all(|byte| *byte == 0));
        drop(tables);
    }
    let (Ok(one), Ok(two)) = (FrameRef::alloc_zeroed(), FrameRef::alloc()) else {
        panic!("no memory")
    };
    one.write(1, &pattern);
    two.copy_from(&one);
    two.zero(5, 1000);
    let mut back = Vec::from(pattern.as_slice());
    two.read(1, &mut back);
    let expected = |index: usize| {
        if (4..1004).contains(&index) {
            0
        } else {
            index % 251
        }
    };
    assert!(
        back.iter()
            .enumerate()
            .all(|(index, byte)| usize::from(*byte) == expected(index))
    );
}

/// Moves of every length up to beyond the longest short one, overlapping on either side, and fills.
fn moves_keep_all_bytes() {
    const ROOM: usize = 1024;
    /// Tells places apart that are near each other.
    fn mark(at: usize) -> u8 {
        at.wrapping_mul(167).to_le_bytes()[0]
    }
    let mut bytes = [0; ROOM];
    for len in 0..=300 {
        for to in [250, 253, 255, 256, 257, 261, 272, 289, 384, 600] {
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = mark(at);
            }
            bytes.copy_within(256..256 + len, core::hint::black_box(to));
            for (at, &byte) in bytes.iter().enumerate() {
                let from = if (to..to + len).contains(&at) {
                    at + 256 - to
                } else {
                    at
                };
                assert_eq!(byte, mark(from), "{len} bytes to {to}");
            }
        }
        let value = core::hint::black_box(0xA5 * u8::from(len % 3 != 0));
        if let Some(part) = bytes.get_mut(3..3 + len) {
            part.fill(value);
        }
        assert!(bytes.iter().skip(3).take(len).all(|&byte| byte == value));
        assert_eq!(bytes.get(3 + len).copied(), Some(mark(3 + len)));
    }
}

pub(super) fn copies_stop_at_the_fault() {
    long_copies();
    moves_keep_all_bytes();
    let mut tables = space(&[]);
    let at = UserAddr::new(0x2FF0);
    let fault = copies::copy_out(at, &[7; 40]);
    assert!(
        fault.is_err_and(|fault| fault.done == 16 && fault.addr.raw() == 0x3000 && fault.write)
    );
    let fault = copies::copy_out(UserAddr::new(0x2FFD), &[9; 40]);
    assert!(fault.is_err_and(|fault| fault.done == 3));
    assert!(
        copies::copy_out(UserAddr::new(0x1000), b"x").is_err(),
        "read-only text"
    );
    assert!(copies::copy_out(UserAddr::new(0xFFFF_8000_0000_0000), b"x").is_err());
    assert!(copies::zero_out(UserAddr::new(0x2FFD), 40).is_err_and(|fault| fault.done == 3));
    assert_eq!(
        copies::copy_out(UserAddr::new(0x2001), b"a string of some length\0rest"),
        Ok(())
    );
    let mut text = [0; 64];
    assert_eq!(
        copies::copy_str_in(&mut text, UserAddr::new(0x2001)),
        Ok(copies::Copied::Whole(24))
    );
    assert!(text.starts_with(b"a string of some length\0"));
    assert_eq!(copies::copy_out(UserAddr::new(0x2FF8), b"no end!!"), Ok(()));
    let fault = copies::copy_str_in(&mut text, UserAddr::new(0x2FF8));
    assert!(fault.is_err_and(|fault| fault.done == 8 && fault.addr.raw() == 0x3000));
    assert_eq!(
        copies::compare_exchange_u32(UserAddr::new(0x2004), 1, 2).map(|old| old != 1),
        Ok(true)
    );
    assert!(copies::load_u32(UserAddr::new(0x2005)).is_err());
    let mut gather = Gather::new();
    let (start, end) = (UserAddr::NULL, UserAddr::new(0x10000));
    tables.protect_range(
        start,
        end,
        PageFlags::empty(),
        PageFlags::WRITE,
        &mut gather,
    );
    gather.flush();
    assert!(
        copies::copy_out(UserAddr::new(0x2000), b"x").is_err(),
        "no longer writable"
    );
    let mut child = match UserTables::new() {
        Ok(child) => child,
        Err(_) => panic!("no memory"),
    };
    assert!(
        tables
            .fork_range(&mut child, start, end, &(0..0x10000), true, &mut gather)
            .is_ok()
    );
    assert!(
        child
            .lookup(UserAddr::new(0x2000))
            .is_some_and(|page| page.frame.count() == 3)
    );
    tables.unmap_range(start, end, &mut gather);
    assert!(
        child
            .lookup(UserAddr::new(0x2000))
            .is_some_and(|page| page.frame.count() == 3)
    );
    gather.flush();
    assert!(
        child
            .lookup(UserAddr::new(0x2000))
            .is_some_and(|page| page.frame.count() == 2)
    );
    assert!(copies::copy_in(&mut [0; 1], UserAddr::new(0x2000)).is_err());
    assert_eq!((tables.resident(), child.resident()), (0, 2));
}

pub(super) fn bench() {
    use crate::drivers::serial::Serial;
    use core::fmt::Write;
    fn time(name: &str, mut what: impl FnMut()) {
        what();
        let start = time::cycles();
        for _ in 0..1000 {
            what();
        }
        let cycles = (time::cycles() - start) / 1000;
        let _ = writeln!(Serial, "{name}: {cycles}");
    }
    time("nothing", || ());
    time("box 64", || {
        drop(core::hint::black_box(alloc::boxed::Box::new([0u8; 64])))
    });
    time("box 8", || {
        drop(core::hint::black_box(alloc::boxed::Box::new(7u64)))
    });
    let mut kept = Vec::new();
    time("box 200 kept", || {
        kept.push(alloc::boxed::Box::new([0u8; 200]))
    });
    time("box 200 dropped", || drop(kept.pop()));
    time("frame", || drop(FrameRef::alloc()));
    time("zeroed frame", || drop(FrameRef::alloc_zeroed()));
    time("charge", || {
        let _ = core::hint::black_box(crate::mm::kmem::charge(100));
    });
    time("now", || {
        core::hint::black_box(time::now_ns());
    });
    time("tables", || drop(UserTables::new()));
    let tables = space(&[0x0F, 0x05, 0xEB, 0xFC]);
    let mut context = UserContext::new(0x1000, 0x3000);
    time("syscall", || {
        user::run(&mut context);
    });
    time("copy out 64", || {
        let _ = copies::copy_out(UserAddr::new(0x2000), &[0; 64]);
    });
    time("copy out 1", || {
        let _ = copies::copy_out(UserAddr::new(0x2000), &[0; 1]);
    });
    time("tables+map", || drop(space(&[0x0F, 0x05, 0xEB, 0xFC])));
    tables.root().load();
    context.rip = 0x5000;
    time("fault", || {
        user::run(&mut context);
    });
    time("stack", || drop(crate::mm::stack::KernelStack::new()));
    drop(tables);
}
