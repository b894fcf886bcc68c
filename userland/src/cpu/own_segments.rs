//! Segments of a program's own: modify_ldt(2) with its odd answers, selectors and bases kept across switches, fork and a
//! change of their entry, selectors that name nothing, and 32-bit code with a signal in it.
use crate::out::say;
use crate::sys::{self, child, memory::Map, process, signal};
use std::arch::asm;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// `seg_32bit` and `limit_in_pages`.
const WIDE: u32 = 1;
const PAGES: u32 = 1 << 4;
/// The selector of entry 0.
const FIRST: u16 = 7;

fn modify_ldt(function: usize, words: &mut [u32], bytes: usize) -> usize {
    let at = words.as_mut_ptr() as usize;
    // SAFETY: the kernel reads and writes `bytes` of `words` at most.
    unsafe { sys::call(libc::SYS_modify_ldt, [function, at, bytes, 0, 0, 0]) }.unwrap_or(usize::MAX)
}

fn write(number: u32, base: u32, flags: u32) -> usize {
    modify_ldt(0x11, &mut [number, base, 0xfffff, flags], 16)
}

fn entries() {
    say!("empty: {:#x}", modify_ldt(0, &mut [0; 4], 16));
    say!("default: {:#x}", modify_ldt(2, &mut [0; 64], 256));
    say!("no such function: {:#x}", modify_ldt(3, &mut [], 0));
    say!("odd size: {:#x}", modify_ldt(1, &mut [0; 8], 17));
    say!("beyond: {:#x}", write(8192, 0, WIDE));
    say!("conforming: {:#x}", write(0, 0, WIDE | 3 << 1));
    say!("conforming, absent: {:#x}", write(1, 0, WIDE | 3 << 1 | 1 << 5));
    say!("the same, old: {:#x}", modify_ldt(1, &mut [1, 0, 9, WIDE | 3 << 1 | 1 << 5], 16));
    say!("data: {:#x}", write(2, 0x1234_5678, WIDE | PAGES | 1 << 6));
    say!("read-only, old: {:#x}", modify_ldt(1, &mut [3, 7, 0xff, WIDE | 1 << 3 | 1 << 6], 16));
    let mut table = [0xffff_ffff; 12];
    say!("read: {:#x} {table:x?}", modify_ldt(0, &mut table, 44));
    say!("cleared: {:#x}", modify_ldt(0x11, &mut [2, 0, 0, 0x28], 16));
    say!("read: {:#x} {table:x?}", modify_ldt(0, &mut table, 12));
}

fn selectors() -> [u16; 3] {
    let (ds, es, gs): (u16, u16, u16);
    // SAFETY: only reads selectors.
    unsafe { asm!("mov {0:x}, ds", "mov {1:x}, es", "mov {2:x}, gs", out(reg) ds, out(reg) es, out(reg) gs) };
    [ds, es, gs]
}

fn load() -> u32 {
    let value: u32;
    // SAFETY: GS is a segment of the test's own, over a page.
    unsafe { asm!("mov {0:e}, gs:[8]", out(reg) value) };
    value
}

/// Pages below 4 GiB.
fn low(prot: i32) -> Map {
    let flags = libc::MAP_PRIVATE | libc::MAP_32BIT;
    Map::new(65536, prot, flags, -1, 0).unwrap_or(Map { addr: 0, len: 0 })
}

fn fill(map: &Map, offset: usize, bytes: &[u8]) {
    for (i, byte) in bytes.iter().enumerate() {
        map.set(offset + i, *byte);
    }
}

fn kept(map: &Map) {
    let base = map.addr as u32;
    fill(map, 8, &[1, 0, 0, 0]);
    fill(map, 4096 + 8, &[2, 0, 0, 0]);
    say!("set: {:#x}", write(0, base, WIDE | PAGES));
    // SAFETY: nothing else uses these registers.
    unsafe { asm!("mov ds, {0:e}", "mov es, {0:e}", "mov gs, {0:e}", in(reg) u32::from(FIRST)) };
    say!("{:x?} {}", selectors(), load());
    let pid = child::start(|| {
        let inherited = load() == 1 && selectors() == [FIRST; 3];
        // Its own table from now on.
        let changed = write(0, base + 4096, WIDE | PAGES) == 0 && load() == 1;
        // SAFETY: a segment over the second page.
        unsafe { asm!("mov gs, {0:e}", in(reg) u32::from(FIRST)) };
        for _ in 0..100 {
            let _ = process::sched_yield();
            if load() != 2 {
                return 3;
            }
        }
        i32::from(!inherited) | i32::from(!changed) << 1
    });
    let mut same = true;
    for _ in 0..100 {
        let _ = process::sched_yield();
        same &= load() == 1 && selectors() == [FIRST; 3];
    }
    say!("child {}, here {same}", child::end_of(pid));
    say!("changed: {:#x} {}", write(0, base + 4096, WIDE | PAGES), load());
    // A segment that isn't there any more can't stay in DS and ES; in GS it does until the next change of threads.
    let changed = write(0, base, WIDE | PAGES | 1 << 5);
    let [ds, es, _] = selectors();
    say!("absent: {changed:#x} {ds:x} {es:x}");
    // SAFETY: gives the registers back, and GS its base.
    unsafe {
        asm!("mov ds, {0:e}", "mov es, {0:e}", "mov gs, {0:e}", in(reg) 0);
        let _ = sys::call(libc::SYS_arch_prctl, [0x1001, map.addr, 0, 0, 0, 0]);
    }
    say!("a base instead: {:x?} {}", selectors(), load());
    for selector in [3u32, 0x2b, 0x0f, 0x33, 0x18, 0xfff8] {
        // SAFETY: a fault ends the child.
        let end = child::run(|| unsafe {
            asm!("mov es, {0:e}", in(reg) selector);
            0
        });
        say!("es {selector:#x}: {end}");
    }
}

static CS: AtomicU64 = AtomicU64::new(0);

extern "C" fn on_trap(_: i32, _: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    let selectors = context.uc_mcontext.gregs[libc::REG_CSGSFS as usize].cast_unsigned();
    CS.store(selectors | (context.uc_flags & 6) << 32, SeqCst);
}

/// 32-bit code: `mov eax, 0x1234; inc eax; int3; ljmp` back, on a stack that it can reach.
fn compatibility() {
    let map = low(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);
    let base = map.addr as u32;
    let at = |offset: u32| (base + offset).to_le_bytes();
    fill(&map, 0, &[0xb8, 0x34, 0x12, 0, 0, 0x40, 0xcc, 0xea]);
    fill(&map, 8, &at(0x80));
    fill(&map, 12, &[0x33, 0]);
    fill(&map, 0x40, &[0x48, 0x89, 0x24, 0x25]);
    fill(&map, 0x44, &at(0x300));
    fill(&map, 0x48, &[0xbc]);
    fill(&map, 0x49, &at(0xff00));
    fill(&map, 0x4d, &[0xff, 0x2c, 0x25]);
    fill(&map, 0x50, &at(0x200));
    fill(&map, 0x80, &[0x48, 0x8b, 0x24, 0x25]);
    fill(&map, 0x84, &at(0x300));
    fill(&map, 0x88, &[0xc3]);
    fill(&map, 0x200, &at(0));
    fill(&map, 0x204, &[0x23, 0]);
    let _ = signal::handle(libc::SIGTRAP, on_trap, 0, 0);
    let eax: u64;
    // SAFETY: the code above changes RAX and comes back with the stack as it was.
    unsafe {
        asm!(
            "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
            "call {entry}",
            "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
            entry = in(reg) u64::from(base) + 0x40,
            out("rax") eax,
            clobber_abi("sysv64"),
        );
    }
    let seen = CS.load(SeqCst);
    say!("eax {:#x}; cs {:#x} ss {:#x} uc_flags {:#x}", eax as u32, seen & 0xffff, seen >> 48, seen >> 32 & 6);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    entries();
    kept(&low(libc::PROT_READ | libc::PROT_WRITE));
    compatibility();
    say!("nowhere: {:#x}", nowhere());
    0
}

fn nowhere() -> usize {
    // SAFETY: nothing can be read there.
    unsafe { sys::call(libc::SYS_modify_ldt, [1, 8, 16, 0, 0, 0]) }.unwrap_or(usize::MAX)
}
