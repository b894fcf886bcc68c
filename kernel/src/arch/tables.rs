//! The descriptor tables: GDT, TSS and IDT.
//!
//! The GDT stands in the order that SYSRET's arithmetic needs, with the selectors Linux uses,
//! which debuggers know. STAR's bases follow from it (`user::init`).

use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use kiln_core::num::low16;
use x86_64::VirtAddr;
use x86_64::instructions::interrupts::without_interrupts;
use x86_64::instructions::tables::{lgdt, lidt, load_tss};
use x86_64::registers::segmentation::{CS, DS, ES, SS, Segment, SegmentSelector};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::tss::TaskStateSegment;

use super::cpu::{PerCpu, this_cpu};
use super::entry;

/// Kernel code, 64 bits.
pub(super) const KERNEL_CODE: u16 = 0x10;
/// Kernel data.
pub(super) const KERNEL_DATA: u16 = 0x18;
/// 32-bit user code: the base of SYSRET's selectors.
pub(super) const USER_CODE_32: u16 = 0x23;
/// User data.
pub(super) const USER_DATA: u16 = 0x2B;
/// User code, 64 bits.
pub(super) const USER_CODE: u16 = 0x33;
const TSS: u16 = 0x40;
const LDT: u16 = 0x50;
/// What a limit of 16 bits can tell.
const MOST_ENTRIES: usize = 8192;
/// The segment whose limit is the CPU's number, for LSL in user mode (Linux's `__CPUNODE_SEG`).
pub(super) const CPU_NUMBER: u16 = 0x7B;

/// Exceptions by their vectors (Intel SDM volume 3, table 6-1).
pub(crate) mod vector {
    /// Debug.
    pub(crate) const DB: u8 = 1;
    /// Non-maskable interrupt.
    pub(crate) const NMI: u8 = 2;
    /// Breakpoint (`int3`).
    pub(crate) const BP: u8 = 3;
    /// Overflow.
    pub(crate) const OF: u8 = 4;
    /// Double fault.
    pub(crate) const DF: u8 = 8;
    /// Segment not present.
    pub(crate) const NP: u8 = 11;
    /// Stack segment.
    pub(crate) const SS: u8 = 12;
    /// General protection.
    pub(crate) const GP: u8 = 13;
    /// Page fault.
    pub(crate) const PF: u8 = 14;
    /// Machine check.
    pub(crate) const MC: u8 = 18;
    /// The first vector that is no exception.
    pub(crate) const FIRST_INTERRUPT: u8 = 32;
}

/// The vectors with stacks of their own; the place here is the IST number less one.
pub(crate) const IST_VECTORS: [u8; 6] = [
    vector::DF,
    vector::PF,
    vector::GP,
    vector::DB,
    vector::NMI,
    vector::MC,
];
/// The names of these stacks in reports, in the same order.
pub(crate) const IST_NAMES: [&str; 6] = ["#DF", "#PF", "#GP", "#DB", "NMI", "#MC"];

const GDT_LEN: usize = 16;

/// A CPU's GDT; written by its own CPU.
#[repr(transparent)]
pub(super) struct GdtCell(UnsafeCell<[u64; GDT_LEN]>);

// SAFETY: only `load_gdt` and `load_ldt` write it, on the CPU that owns the block, with interrupts off.
unsafe impl Sync for GdtCell {}

impl GdtCell {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new([
            0,
            0x00CF_9B00_0000_FFFF, // 0x08 kernel code, 32 bits (unused; Linux has it here)
            0x00AF_9B00_0000_FFFF, // 0x10 kernel code
            0x00CF_9300_0000_FFFF, // 0x18 kernel data
            0x00CF_FB00_0000_FFFF, // 0x20 user code, 32 bits
            0x00CF_F300_0000_FFFF, // 0x28 user data
            0x00AF_FB00_0000_FFFF, // 0x30 user code
            0,
            0, // 0x40 TSS, two words: filled in by `load_gdt`
            0,
            0, // 0x50 the program's own table, two words: filled in by `load_ldt`
            0,
            0,
            0,
            0,
            // 0x78 read-only data that grows down: the limit is only looked at, and filled in by `load_gdt`.
            0x0040_F500_0000_0000,
        ]))
    }
}

/// Types of descriptors of the system's own (Intel SDM volume 3, table 3-2).
const KIND_LDT: u64 = 2;
const KIND_TSS: u64 = 9;

/// The two words of the descriptor of a TSS or an LDT at `base` (Intel SDM volume 3, 7.2.3).
const fn system_descriptor(kind: u64, base: u64, limit: u64) -> [u64; 2] {
    let low = limit | (base & 0xFF_FFFF) << 16 | (0x80 | kind) << 40 | (base >> 24 & 0xFF) << 56;
    [low, base >> 32]
}

/// Loads GDT, TSS and segment registers of the CPU that owns `cpu`, which must be the running one.
/// GS and its base stay.
pub(super) fn load_gdt(cpu: &'static PerCpu) {
    let gdt = cpu.gdt.0.get();
    let base = cpu.tss.0.get().addr() as u64;
    // SAFETY: `cpu` lives for ever and is this CPU's own, so nobody else looks at its tables yet.
    // The descriptors are the flat ones above and the TSS of the same block; the selectors name
    // them. Loading SS, DS and ES leaves GS alone.
    unsafe {
        let [_, _, _, _, _, _, _, _, low, high, .., number] = &mut *gdt;
        let limit = size_of::<TaskStateSegment>() as u64 - 1;
        [*low, *high] = system_descriptor(KIND_TSS, base, limit);
        *number |= u64::from(cpu.id());
        let limit = const { low16(size_of::<[u64; GDT_LEN]>() as u64 - 1) };
        lgdt(&DescriptorTablePointer {
            limit,
            base: VirtAddr::from_ptr(gdt),
        });
        CS::set_reg(SegmentSelector(KERNEL_CODE));
        SS::set_reg(SegmentSelector(KERNEL_DATA));
        DS::set_reg(SegmentSelector(0));
        ES::set_reg(SegmentSelector(0));
        load_tss(SegmentSelector(TSS));
    }
}

/// Makes `table` the descriptor table of the program that runs on this CPU; empty: there is none. Every descriptor in it
/// is of a program's code or data (`kiln_core::ldt`).
///
/// # Safety
/// The table stays where it is, and as it is, until another is loaded here.
pub(crate) unsafe fn load_ldt(table: &[u64]) {
    let base = table.as_ptr().addr() as u64;
    without_interrupts(|| {
        let gdt = this_cpu().gdt.0.get();
        let selector = match table.len() {
            0 => 0,
            len => {
                let limit = len.min(MOST_ENTRIES) as u64 * 8 - 1;
                // SAFETY: this CPU's own, which nobody else writes; LLDT, which alone reads these words, comes after.
                unsafe {
                    let [_, _, _, _, _, _, _, _, _, _, low, high, ..] = &mut *gdt;
                    [*low, *high] = system_descriptor(KIND_LDT, base, limit);
                }
                LDT
            }
        };
        // SAFETY: null, or the descriptor above, of a table that the caller vouches for.
        unsafe {
            asm!("lldt {:x}", in(reg) selector, options(nostack, preserves_flags));
        }
    });
}

/// Names the stack on which the vector `IST_VECTORS[index]` enters.
pub(super) fn set_ist(cpu: &PerCpu, index: usize, top: u64) {
    let tss = cpu.tss.0.get();
    // SAFETY: the running CPU's own TSS (`traps` are set up once, on their CPU); the field is
    // written whole, through a raw pointer because the structure is packed.
    unsafe {
        let table = &raw mut (*tss).interrupt_stack_table;
        table
            .cast::<VirtAddr>()
            .add(index.min(6))
            .write_unaligned(VirtAddr::new_truncate(top));
    }
}

/// Offset of the ring-0 stack pointer in [`PerCpu`], for the entry code.
pub(super) const RSP0_OFFSET: usize =
    offset_of!(PerCpu, tss) + offset_of!(TaskStateSegment, privilege_stack_table);

/// An interrupt gate (Intel SDM volume 3, 6.14.1).
#[derive(Clone, Copy)]
#[repr(C)]
struct Gate([u64; 2]);

impl Gate {
    /// The bits of privilege level 3: programs may raise it with `int n`.
    const FOR_PROGRAMS: u64 = 3 << 45;

    /// To `handler`, for the kernel and the CPU alone, on the stack that runs.
    const fn new(handler: u64) -> Self {
        let low = handler & 0xFFFF
            | (KERNEL_CODE as u64) << 16
            | 0x8E00 << 32
            | (handler >> 16 & 0xFFFF) << 48;
        Self([low, handler >> 32])
    }

    /// The bits of an IST number.
    const fn ist(number: u64) -> u64 {
        number << 32
    }
}

#[repr(C, align(16))]
struct Idt(UnsafeCell<[Gate; 256]>);

// SAFETY: only `load_idt` and `use_ists` write it, on the boot CPU, before there are others.
unsafe impl Sync for Idt {}

static IDT: Idt = Idt(UnsafeCell::new([Gate([0; 2]); 256]));

/// Fills the IDT and loads it; every vector enters on the stack that runs.
pub(super) fn load_idt() {
    // SAFETY: the boot CPU is alone, and nothing comes before the table is loaded.
    let gates = unsafe { &mut *IDT.0.get() };
    for (vector, gate) in (0u8..=255).zip(gates.iter_mut()) {
        *gate = Gate::new(entry::stub_address(vector));
    }
    // `int3` and `into` are there for programs; any other `int n` of theirs is a #GP.
    for vector in [vector::BP, vector::OF] {
        if let Some(gate) = gates.get_mut(usize::from(vector)) {
            gate.0[0] |= Gate::FOR_PROGRAMS;
        }
    }
    use_idt();
}

/// The IST number of #GP's stack, on which #NP and #SS enter too.
pub(super) const GP_STACK: u64 = 3;

/// From now on the vectors of [`IST_VECTORS`] enter on the stacks that [`set_ist`] named; #NP and #SS on #GP's, for like
/// it they come of selectors that the way out loads, while GS is the program's.
pub(super) fn use_ists() {
    // SAFETY: the boot CPU is alone, and a vector that comes while its gate is changed finds the old
    // gate or the new one: one write changes only the IST number.
    let gates = unsafe { &mut *IDT.0.get() };
    let with_gp = [(vector::NP, GP_STACK), (vector::SS, GP_STACK)];
    for (vector, ist) in IST_VECTORS.into_iter().zip(1..).chain(with_gp) {
        if let Some(gate) = gates.get_mut(usize::from(vector)) {
            gate.0[0] |= Gate::ist(ist);
        }
    }
}

/// Loads the IDT, which is the same for all CPUs.
pub(super) fn use_idt() {
    let limit = const { low16(size_of::<[Gate; 256]>() as u64 - 1) };
    let pointer = DescriptorTablePointer {
        limit,
        base: VirtAddr::from_ptr(IDT.0.get()),
    };
    // SAFETY: every gate names a stub that saves and restores what it interrupts.
    unsafe { lidt(&pointer) };
}
