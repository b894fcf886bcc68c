//! Tests of the lowest rooms in the machine itself: `selftest=NAME` on the kernel's command line.
//! A failed one is a kernel panic.
#![expect(clippy::panic, reason = "that is how a test fails")]

use alloc::vec::Vec;
use kiln_core::addr::UserAddr;

use crate::arch::fpu::{self, FpuState};
use crate::arch::time;
use crate::arch::user::{self, Stop, UserContext};
use crate::mm::frame::{self, FrameRef};
use crate::mm::paging::{Gather, PageFlags, UserTables};
use crate::mm::user as copies;
use crate::sched;

mod drivers;
mod vm;

/// Runs the test of this name.
pub(crate) fn run(name: &[u8]) {
    match name {
        b"user" => enters_user_mode(),
        b"sched" => crate::sched::selftest::run(),
        b"memory" => all_memory_comes_back(),
        b"bench" => bench(),
        b"timer" => the_timer_comes(),
        b"fpu" => fpu_states_are_kept_apart(),
        b"copies" => copies_stop_at_the_fault(),
        b"vm" => vm::spaces(),
        b"reclaim" => vm::reclaim(),
        b"echo" => drivers::echo(),
        b"disks" => drivers::disks(),
        _ => panic!("no such test"),
    }
}

/// A page of code at 0x1000 and one of data at 0x2000.
fn space(code: &[u8]) -> UserTables {
    let made = || {
        let mut tables = UserTables::new()?;
        let text = FrameRef::alloc_zeroed()?;
        text.write(0, code);
        tables.map(UserAddr::new(0x1000), text, PageFlags::EXEC)?;
        tables.map(
            UserAddr::new(0x2000),
            FrameRef::alloc_zeroed()?,
            PageFlags::WRITE,
        )?;
        Ok::<_, crate::mm::OutOfMemory>(tables)
    };
    let Ok(tables) = made() else {
        panic!("no memory")
    };
    tables.root().load();
    tables
}

fn enters_user_mode() {
    // mov rax, 39; syscall; mov [0x2000], rax; syscall; int3; mov [0], rax
    const CODE: &[u8] = &[
        0x48, 0xC7, 0xC0, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x89, 0x04, 0x25, 0x00, 0x20, 0, 0, 0x0F,
        0x05, 0xCC, 0x48, 0x89, 0x04, 0x25, 0, 0, 0, 0,
    ];
    let tables = space(CODE);
    let mut context = UserContext::new(0x1000, 0x3000);
    context.rbx = 0x1234_5678_9ABC_DEF0;
    context.fs_base = 0x7000;
    context.gs_base = 0x8000;
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
    assert_eq!((context.fs_base, context.gs_base), (0x7000, 0x8000));
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
    context.gs_base = 0x8000_0000_0000_0000;
    assert!(matches!(user::run(&mut context), Stop::Fault(fault) if fault.vector == 13));
    drop(tables);
}

fn bench() {
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
    time("charge", || drop(crate::mm::kmem::charge(100)));
    time("now", || drop(core::hint::black_box(time::now_ns())));
    time("tables", || drop(UserTables::new()));
    let tables = space(&[0x0F, 0x05, 0xEB, 0xFC]);
    let mut context = UserContext::new(0x1000, 0x3000);
    time("syscall", || {
        user::run(&mut context);
    });
    time("copy out 64", || {
        drop(copies::copy_out(UserAddr::new(0x2000), &[0; 64]))
    });
    time("copy out 1", || {
        drop(copies::copy_out(UserAddr::new(0x2000), &[0; 1]))
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

fn the_timer_comes() {
    for ms in [1, 5, 20] {
        let start = time::now_ns();
        let deadline = start + ms * 1_000_000;
        let _ = sched::sleep_until(sched::Mode::Uninterruptible, Some(deadline));
        let slept = time::now_ns() - start;
        assert!(slept >= ms * 1_000_000, "{slept}");
        assert!(slept < ms * 1_000_000 + 500_000_000, "{slept}");
    }
}

fn fpu_states_are_kept_apart() {
    // movups xmm7, [0x2000]; syscall; movups [0x2010], xmm7; syscall
    const CODE: &[u8] = &[
        0x0F, 0x10, 0x3C, 0x25, 0, 0x20, 0, 0, 0x0F, 0x05, 0x0F, 0x11, 0x3C, 0x25, 0x10, 0x20, 0,
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
    assert_eq!(bytes.get(160 + 7 * 16), Some(&0x5A));
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

fn all_memory_comes_back() {
    // One allocation of the heap has 4 MiB at most, which is room for 4 GiB of frames. What it takes
    // stays with the heap, so it is made first.
    let wanted = frame::stats().free.min(1_000_000);
    let mut frames = Vec::new();
    assert!(frames.try_reserve_exact(wanted).is_ok());
    let before = frame::stats().free;
    frames.extend((0..wanted).map_while(|_| FrameRef::alloc().ok()));
    let got = frames.len();
    drop(frames);
    let after = frame::stats().free;
    // What is missing is the records of the sections taken into use.
    assert!(before - after <= before / 128 + 8, "{before} {after}");
    assert!(got >= after.min(wanted), "{got} {after}");
}

fn copies_stop_at_the_fault() {
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
            .fork_range(&mut child, start, end, true, &mut gather)
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
