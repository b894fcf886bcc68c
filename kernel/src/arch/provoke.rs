//! Faults on purpose: each exception raised in ring 0 and each kernel stack overflowed, so that the
//! tests see the report. Reached only through `fault=NAME` on the kernel's command line.

use core::arch::asm;
use kiln_core::num::usize_of;

use super::cpu::this_cpu;
use super::tables::{GP_STACK, IST_NAMES, vector};

/// Provokes `name`; returns when there is no such fault. `alias` is the distance from the image to
/// its alias in the physmap.
pub(crate) fn provoke(name: &[u8], alias: u64) {
    match name {
        b"stack" => drop(overflow(0)),
        b"panic" => provoke_panic(),
        b"unmapped" => read_unmapped(),
        b"text" => write_text(0),
        b"text-alias" => write_text(alias),
        b"nx" => execute_data(),
        _ => {}
    }
    let own = name.strip_prefix(b"stack-").unwrap_or_default();
    if let Some(index) = IST_NAMES.iter().position(|name| lower_eq(name, own)) {
        overflow_ist(index);
    }
    raise(name);
}

/// Whether `name` without its `#` is `text` but for case.
fn lower_eq(name: &str, text: &[u8]) -> bool {
    name.trim_start_matches('#')
        .as_bytes()
        .eq_ignore_ascii_case(text)
}

/// Raises an exception by its mnemonic, the honest way where that can be done from here.
fn raise(name: &[u8]) {
    // SAFETY: none of these returns to code that relies on the registers they change: what comes is
    // a fatal report. `int n` from ring 0 enters the handler as the exception would, without an
    // error code, which the report doesn't need.
    unsafe {
        match name {
            b"de" => asm!("xor edx, edx", "xor eax, eax", "div edx", out("eax") _, out("edx") _),
            b"db" => asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop", "nop"),
            b"nmi" => asm!("int 2"),
            b"bp" => asm!("int3"),
            b"of" => asm!("int 4"),
            b"br" => asm!("int 5"),
            b"ud" => asm!("ud2"),
            b"nm" => asm!("int 7"),
            b"gp" => asm!("mov rax, [{}]", in(reg) 0x8000_0000_0000_0000_u64, out("rax") _),
            b"pf" => asm!("mov rax, [{}]", in(reg) 0xFFFF_9000_0000_0000_u64, out("rax") _),
            b"mf" => asm!("int 16"),
            b"mc" => asm!("int 18"),
            b"xm" => asm!("int 19"),
            b"df" => double_fault(),
            b"ts" => as_if(10),
            b"np" => as_if(11),
            b"ss" => as_if(12),
            b"ac" => as_if(17),
            _ => {}
        }
    }
}

/// A double fault: a page fault while a page fault is delivered.
fn double_fault() {
    super::tables::set_ist(this_cpu(), 1, 0xFFFF_9000_0000_0000);
    raise(b"pf");
}

/// Enters the handler of a vector that pushes an error code, which `int n` doesn't, with a frame as
/// the CPU would make it.
fn as_if(vector: u8) {
    let stack = match vector {
        vector::NP | vector::SS => ist_top(usize_of(GP_STACK) - 1),
        _ => 0,
    };
    // SAFETY: as in `raise`; the stack is this CPU's own, for traps that haven't come yet, or the running one.
    unsafe {
        asm!(
            "mov rcx, rsp",
            "test rdx, rdx",
            "cmovz rdx, rsp",
            "mov rsp, rdx",
            "and rsp, -16",
            "push {data}",
            "push rcx",
            "pushfq",
            "push {code}",
            "lea rcx, [rip + 2f]",
            "push rcx",
            "push 0",
            "jmp rax",
            "2: ud2",
            data = const super::tables::KERNEL_DATA,
            code = const super::tables::KERNEL_CODE,
            in("rax") super::entry::stub_address(vector),
            inout("rdx") stack => _,
            out("rcx") _,
        );
    }
}

#[expect(clippy::panic, reason = "the test of the panic handler")]
fn provoke_panic() {
    panic!("provoked with \"fault=panic\"");
}

/// Uses up the running stack.
#[inline(never)]
#[expect(unconditional_recursion, reason = "the purpose")]
fn overflow(depth: u64) -> u64 {
    let local = core::hint::black_box([depth; 16]);
    let deeper = overflow(depth + 1);
    deeper + local.iter().sum::<u64>()
}

/// Where an IST stack begins.
fn ist_top(index: usize) -> u64 {
    let tss = this_cpu().tss.0.get();
    // SAFETY: this CPU's own, written once at its boot; the index is below the table's length.
    unsafe {
        let table = (&raw const (*tss).interrupt_stack_table).cast::<u64>();
        table.add(index).read_unaligned()
    }
}

/// Uses up an IST stack: goes on at its top and pushes until the guard is hit.
fn overflow_ist(index: usize) {
    // SAFETY: the stack's handler isn't running, so nobody's frames are lost; what follows ends in
    // a report.
    unsafe {
        asm!("mov rsp, {}", "2: push 0", "jmp 2b", in(reg) ist_top(index), options(noreturn));
    }
}

fn read_unmapped() {
    let pointer = core::ptr::with_exposed_provenance::<u8>(0xFFFF_9123_4567_89AB);
    // SAFETY: not mapped: the fault is the purpose.
    unsafe { pointer.read_volatile() };
}

fn write_text(distance: u64) {
    let address = (provoke as *const () as u64).wrapping_add(distance);
    let pointer = core::ptr::with_exposed_provenance_mut::<u8>(usize_of(address));
    // SAFETY: read-only: the fault is the purpose.
    unsafe { pointer.write_volatile(0) };
}

fn execute_data() {
    static CODE: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(0xC3);
    // SAFETY: not executable: the fault is the purpose.
    unsafe { asm!("call {}", in(reg) CODE.as_ptr()) };
}

#[cfg(feature = "selftest")]
/// Reads a program's memory without the copying functions: SMAP forbids it.
pub(crate) fn read_user(address: u64) {
    let pointer = core::ptr::with_exposed_provenance::<u8>(usize_of(address));
    // SAFETY: the fault is the purpose; without SMAP a byte is read and forgotten.
    unsafe { pointer.read_volatile() };
}

#[cfg(feature = "selftest")]
/// Executes a program's memory, `ret` preferably: SMEP forbids it.
pub(crate) fn execute_user(address: u64) {
    // SAFETY: the fault is the purpose; without SMEP a `ret` comes back.
    unsafe { asm!("call {}", in(reg) address) };
}
