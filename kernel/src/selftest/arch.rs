//! User mode, FPU states, the timer.

use alloc::vec::Vec;
use kiln_core::addr::UserAddr;
use kiln_core::num::{low8, u64_of};

use crate::arch::checksum;
use crate::arch::fpu::{self, FpuState};
use crate::arch::segments::Segments;
use crate::arch::time;
use crate::arch::user::{self, Stop, UserContext};
use crate::mm::frame::FrameRef;
use crate::mm::paging::{Gather, PageFlags, UserTables};
use crate::mm::user as copies;
use crate::sched;

/// A page of code at 0x1000 and one of data at 0x2000.
pub(super) fn space(code: &[u8]) -> UserTables {
    let made = || {
        let mut tables = UserTables::new()?;
        let mut gather = Gather::new();
        let text = FrameRef::alloc_zeroed()?;
        text.write(0, code);
        tables.map(UserAddr::new(0x1000), text, PageFlags::EXEC, &mut gather)?;
        tables.map(
            UserAddr::new(0x2000),
            FrameRef::alloc_zeroed()?,
            PageFlags::WRITE,
            &mut gather,
        )?;
        Ok::<_, crate::mm::OutOfMemory>(tables)
    };
    let Ok(tables) = made() else {
        panic!("no memory")
    };
    tables.root().load();
    tables
}

pub(super) fn enters_user_mode() {
    // mov rax, 39; syscall; mov [0x2000], rax; syscall; int3; mov [0], rax
    const CODE: &[u8] = &[
        0x48, 0xC7, 0xC0, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x89, 0x04, 0x25, 0x00, 0x20, 0, 0, 0x0F,
        0x05, 0xCC, 0x48, 0x89, 0x04, 0x25, 0, 0, 0, 0,
    ];
    let tables = space(CODE);
    let mut context = UserContext::new(0x1000, 0x3000);
    context.rbx = 0x1234_5678_9ABC_DEF0;
    let segments = Segments {
        fs: 0x7000,
        gs: 0x8000,
        ..Segments::default()
    };
    segments.set();
    assert_eq!(user::run(&mut context), Stop::Syscall);
    assert_eq!(
        (context.orig_rax, context.rip, context.rbx),
        (39, 0x1009, 0x1234_5678_9ABC_DEF0)
    );
    context.rax = 0x42;
    assert_eq!(user::run(&mut context), Stop::Syscall);
    let mut word = [0; 8];
    assert_eq!(copies::copy_in(&mut word, UserAddr::new(0x2000)), Ok(()));
    assert_eq!(u64::from_le_bytes(word), 0x42);
    assert_eq!(Segments::get(), segments);
    let Stop::Fault(fault) = user::run(&mut context) else {
        panic!("no fault")
    };
    assert_eq!(fault.vector, 3);
    let Stop::Fault(fault) = user::run(&mut context) else {
        panic!("no fault")
    };
    assert_eq!((fault.vector, fault.addr, fault.error_code), (14, 0, 6));
    context.rip = 0x8000_0000_0000_0000;
    let Stop::Fault(fault) = user::run(&mut context) else {
        panic!("no fault")
    };
    assert_eq!(fault.vector, 13);
    drop(tables);
}

pub(super) fn the_timer_comes() {
    let (before, cycles) = (time::now_ns(), time::cycles());
    while time::cycles() - cycles < 1000 {}
    assert!(time::now_ns() > before);
    for ms in [1, 5, 20] {
        let start = time::now_ns();
        let deadline = start + ms * 1_000_000;
        let _ = sched::sleep_until(sched::Mode::Uninterruptible, Some(deadline));
        let slept = time::now_ns() - start;
        assert!(slept >= ms * 1_000_000, "{slept}");
        assert!(slept < ms * 1_000_000 + 500_000_000, "{slept}");
    }
}

pub(super) fn fpu_states_are_kept_apart() {
    // movups xmm0, [0x2000]; syscall; movups [0x2010], xmm0; syscall
    const CODE: &[u8] = &[
        0x0F, 0x10, 0x04, 0x25, 0, 0x20, 0, 0, 0x0F, 0x05, 0x0F, 0x11, 0x04, 0x25, 0x10, 0x20, 0,
        0, 0x0F, 0x05,
    ];
    let tables = space(CODE);
    let (Ok(mut first), Ok(mut second)) = (FpuState::new(), FpuState::new()) else {
        panic!("no memory")
    };
    first.restore();
    assert_eq!(copies::copy_out(UserAddr::new(0x2000), &[0x5A; 16]), Ok(()));
    let mut context = UserContext::new(0x1000, 0x3000);
    assert_eq!(user::run(&mut context), Stop::Syscall);
    // The kernel's own moves may pass through the registers.
    let Ok(frame) = FrameRef::alloc_zeroed() else {
        panic!("no memory")
    };
    frame.copy_from(&frame);
    first.save();
    second.restore();
    let mut other = context.clone();
    assert_eq!(user::run(&mut other), Stop::Syscall);
    let mut seen = [1; 16];
    assert_eq!(copies::copy_in(&mut seen, UserAddr::new(0x2010)), Ok(()));
    assert_eq!(seen, [0; 16]);
    first.restore();
    let Ok(mut copy) = first.try_clone() else {
        panic!("no memory")
    };
    assert_eq!(user::run(&mut context), Stop::Syscall);
    assert_eq!(copies::copy_in(&mut seen, UserAddr::new(0x2010)), Ok(()));
    assert_eq!(seen, [0x5A; 16]);
    copy.save_whole();
    let mut bytes = Vec::from(copy.bytes());
    assert_eq!(bytes.get(160), Some(&0x5A));
    assert_eq!(copy.set_bytes(&bytes, true), Ok(()));
    let mut broken = bytes.clone();
    broken
        .iter_mut()
        .skip(24)
        .take(4)
        .for_each(|byte| *byte = 0xFF);
    assert!(
        copy.set_bytes(&broken, true).is_err(),
        "reserved bits of MXCSR"
    );
    bytes
        .iter_mut()
        .skip(520)
        .take(1)
        .for_each(|byte| *byte = 1);
    assert!(
        copy.set_bytes(&bytes, true).is_err() || fpu::components() == 0,
        "compacted"
    );
    assert!(copy.set_bytes(&bytes, false).is_ok(), "legacy part only");
    copy.restore();
    drop(tables);
}

/// The processor's checksum is that of the tables, which compute it here as no disk is mounted.
pub(super) fn checksums_agree() {
    let Some(engine) = checksum::crc32c() else {
        panic!("no SSE4.2");
    };
    assert_eq!(!engine(!0, b"123456789"), 0xE306_9283);
    let bytes: [u8; 150] = core::array::from_fn(|at| low8(u64_of(at * 37)));
    for end in 0..bytes.len() {
        let part = bytes.get(..end).unwrap_or_default();
        assert_eq!(engine(7, part), kiln_core::fs::ext4::crc32c(7, part));
    }
}
