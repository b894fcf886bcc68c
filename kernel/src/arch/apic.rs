//! The local APIC: its timer, one shot at a time, and the end of interrupts.
//!
//! Through MSRs (x2APIC) where the CPU has them, else through memory. Each access leaves the guest.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use spin::Once;
use x86_64::registers::model_specific::{ApicBase, ApicBaseFlags, Msr};

use super::features::{Features, features};
use super::time;

/// Where its registers are in physical memory, unless they are MSRs.
pub(crate) const LAPIC_ADDR: u64 = 0xFEE0_0000;
/// Interrupts that were gone when they were to be delivered come here, and need no end.
pub(super) const SPURIOUS_VECTOR: u8 = 0xFF;
/// Other CPUs'.
pub(super) const IPI_VECTOR: u8 = 0xE1;
/// The timer's.
pub(super) const TIMER_VECTOR: u8 = 0xE0;
/// QEMU's and KVM's timer counts at this rate.
pub(super) const TIMER_HZ: u64 = 1_000_000_000;

// Registers, by their offset in memory (Intel SDM volume 3, table 11-1).
const ID: u32 = 0x020;
const EOI: u32 = 0x0B0;
const COMMAND: u32 = 0x300;
const DESTINATION: u32 = 0x310;
const SPURIOUS: u32 = 0x0F0;
const LVT_TIMER: u32 = 0x320;
const INITIAL_COUNT: u32 = 0x380;
const CURRENT_COUNT: u32 = 0x390;
const DIVIDE: u32 = 0x3E0;
/// Divide by one.
const DIVIDE_1: u32 = 0b1011;
const ENABLE: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;

// Interrupt commands (Intel SDM volume 3, 10.6.1): edge-triggered, level asserted.
const ASSERT: u32 = 1 << 14;
const INIT: u32 = 5 << 8 | ASSERT;
const STARTUP: u32 = 6 << 8 | ASSERT;
const TO_OTHERS: u32 = 3 << 18;

static REGISTERS: Once<Registers> = Once::new();
static ON_TIMER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
/// It is in use, and no longer measures the TSC.
static IN_USE: AtomicBool = AtomicBool::new(false);

enum Registers {
    Memory(NonNull<u8>),
    Msrs,
}

// SAFETY: each CPU finds its own APIC behind the same address.
unsafe impl Send for Registers {}
// SAFETY: as above.
unsafe impl Sync for Registers {}

fn msr(register: u32) -> Msr {
    Msr::new(0x800 + (register >> 4))
}

fn write(register: u32, value: u32) {
    match REGISTERS.get() {
        // SAFETY: the mapping that `init` was given; registers are 32 bits wide.
        Some(Registers::Memory(base)) => unsafe {
            base.add(kiln_core::num::usize_of32(register))
                .cast::<u32>()
                .write_volatile(value);
        },
        // SAFETY: x2APIC mode is on; the registers written are those above.
        Some(Registers::Msrs) => unsafe { msr(register).write(u64::from(value)) },
        None => {}
    }
}

fn read(register: u32) -> u32 {
    match REGISTERS.get() {
        // SAFETY: as in `write`.
        Some(Registers::Memory(base)) => unsafe {
            base.add(kiln_core::num::usize_of32(register))
                .cast::<u32>()
                .read_volatile()
        },
        // SAFETY: as in `write`.
        Some(Registers::Msrs) => kiln_core::num::low32(unsafe { msr(register).read() }),
        None => 0,
    }
}

/// Whether the registers are MSRs, so that nothing needs to be mapped.
pub(crate) fn has_msrs() -> bool {
    features().contains(Features::X2APIC)
}

/// Switches the APIC on, and measures the TSC against its timer. `registers` is where
/// [`LAPIC_ADDR`] is mapped; not needed if [`has_msrs`].
pub(crate) fn init(registers: Option<NonNull<u8>>) {
    let Some(registers) = registers else {
        let (frame, flags) = ApicBase::read();
        let x2apic = ApicBaseFlags::LAPIC_ENABLE | ApicBaseFlags::X2APIC_ENABLE;
        // SAFETY: CPUID has x2APIC; the base stays.
        unsafe { ApicBase::write(frame, flags | x2apic) };
        REGISTERS.call_once(|| Registers::Msrs);
        return start();
    };
    REGISTERS.call_once(|| Registers::Memory(registers));
    start();
}

/// Switches this CPU's APIC on, once the boot CPU has done so with its own.
pub(super) fn enable_here() {
    if matches!(REGISTERS.get(), Some(Registers::Msrs)) {
        let (frame, flags) = ApicBase::read();
        let x2apic = ApicBaseFlags::LAPIC_ENABLE | ApicBaseFlags::X2APIC_ENABLE;
        // SAFETY: as in `init`.
        unsafe { ApicBase::write(frame, flags | x2apic) };
    }
    write(SPURIOUS, ENABLE | u32::from(SPURIOUS_VECTOR));
    write(DIVIDE, DIVIDE_1);
    write(LVT_TIMER, u32::from(TIMER_VECTOR));
}

/// This CPU's number.
pub(super) fn id() -> u32 {
    match REGISTERS.get() {
        Some(Registers::Msrs) => read(ID),
        _ => read(ID) >> 24,
    }
}

/// Interrupts the CPU whose APIC has this number.
pub(super) fn send_to(apic: u32) {
    command(apic, u32::from(IPI_VECTOR) | ASSERT);
}

/// Interrupts all other CPUs.
pub(super) fn send_to_others() {
    command(0, u32::from(IPI_VECTOR) | ASSERT | TO_OTHERS);
}

/// Resets all other CPUs.
pub(super) fn send_init_to_others() {
    command(0, INIT | TO_OTHERS);
}

/// Makes all other CPUs start in real mode at this page.
pub(super) fn send_startup_to_others(page: u8) {
    command(0, STARTUP | TO_OTHERS | u32::from(page));
}

fn command(apic: u32, command: u32) {
    if matches!(REGISTERS.get(), Some(Registers::Msrs)) {
        // Unlike a write to memory this one doesn't wait for the stores before it (Intel SDM volume 3,
        // 10.12.3), which the other CPU is to see.
        // SAFETY: two fences, and x2APIC's command register.
        unsafe {
            core::arch::asm!("mfence", "lfence", options(nostack, preserves_flags));
            msr(COMMAND).write(u64::from(apic) << 32 | u64::from(command));
        }
        return;
    }
    // An interrupt between the two writes might send one itself.
    x86_64::instructions::interrupts::without_interrupts(|| {
        if command & TO_OTHERS == 0 {
            write(DESTINATION, apic << 24);
        }
        write(COMMAND, command);
    });
}

fn start() {
    write(SPURIOUS, ENABLE | u32::from(SPURIOUS_VECTOR));
    write(DIVIDE, DIVIDE_1);
    // Masked, so that the measurement may run on until the timer is needed.
    write(LVT_TIMER, MASKED | u32::from(TIMER_VECTOR));
    time::calibrate(|| write(INITIAL_COUNT, u32::MAX), elapsed);
}

fn elapsed() -> u32 {
    u32::MAX - read(CURRENT_COUNT)
}

/// Says who is called when the timer has run down: with interrupts off, after the timer has stopped.
pub(crate) fn on_timer(handler: fn()) {
    ON_TIMER.store(handler as *mut (), Ordering::Release);
}

/// Ends the measurement of the TSC, which has been running since [`init`]; the first use of the timer
/// does that too. To be called when the boot is over: the longer it ran, the better.
pub(crate) fn settle_clock() {
    if !IN_USE.swap(true, Ordering::Relaxed) {
        x86_64::instructions::interrupts::without_interrupts(|| time::refine(elapsed));
        write(INITIAL_COUNT, 0);
        write(LVT_TIMER, u32::from(TIMER_VECTOR));
    }
}

/// Starts the timer so that it runs down at `deadline` (of [`time::now_ns`]), or up to four seconds
/// after now if that is later. A timer already started is replaced.
pub(crate) fn arm_timer(deadline: u64) {
    settle_clock();
    let left = deadline.saturating_sub(time::now_ns()).max(1);
    let count = u32::try_from(left.saturating_mul(TIMER_HZ) / 1_000_000_000).unwrap_or(u32::MAX);
    write(INITIAL_COUNT, count.max(1));
}

pub(super) fn timer_fired() {
    let handler = ON_TIMER.load(Ordering::Acquire);
    if !handler.is_null() {
        // SAFETY: only `on_timer` stores here, and it stores such functions.
        let handler = unsafe { core::mem::transmute::<*mut (), fn()>(handler) };
        handler();
    }
}

pub(super) fn end_of_interrupt() {
    write(EOI, 0);
}
