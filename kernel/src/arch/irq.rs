//! Interrupts of devices: the IOAPIC, and who is called.
//!
//! A GSI's vector is [`FIRST_VECTOR`] plus its number. Lines are level-triggered and active high, as
//! microvm's are; a handler makes its device drop the line before it returns.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};
use spin::Once;
use x86_64::instructions::interrupts;

use super::{apic, ipi};

/// The vector of GSI 0.
const FIRST_VECTOR: u8 = 0x30;
/// GSIs that there is room for: two IOAPICs' worth.
const GSIS: usize = 48;
/// Where QEMU has the first IOAPIC.
pub(crate) const IOAPIC_ADDR: u64 = 0xFEC0_0000;
/// Offsets of the two registers through which the others are reached.
const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;
/// The first redirection entry.
const REDIRECTION: u32 = 0x10;
const LEVEL: u32 = 1 << 15;

static HANDLERS: [AtomicPtr<()>; GSIS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; GSIS];
static IOAPIC: Once<Ioapic> = Once::new();

struct Ioapic(NonNull<u8>);

// SAFETY: registers; `write_register` is only called with interrupts off, on the boot CPU's way up.
unsafe impl Send for Ioapic {}
// SAFETY: as above.
unsafe impl Sync for Ioapic {}

impl Ioapic {
    fn write_register(&self, register: u32, value: u32) {
        // SAFETY: the mapping of the IOAPIC's registers that `init` was given.
        unsafe {
            self.0.add(SELECT).cast::<u32>().write_volatile(register);
            self.0.add(WINDOW).cast::<u32>().write_volatile(value);
        }
    }
}

/// Says where the registers at [`IOAPIC_ADDR`] are mapped.
pub(crate) fn init(registers: NonNull<u8>) {
    IOAPIC.call_once(|| Ioapic(registers));
}

/// No such line, or no IOAPIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoSuchLine;

/// Calls `handler` with the GSI, interrupts off, whenever the line `gsi` is raised; from now on.
pub(crate) fn register(gsi: u32, handler: fn(u32)) -> Result<(), NoSuchLine> {
    let slot = HANDLERS
        .get(kiln_core::num::usize_of32(gsi))
        .ok_or(NoSuchLine)?;
    let ioapic = IOAPIC.get().ok_or(NoSuchLine)?;
    slot.store(handler as *mut (), Ordering::Release);
    interrupts::without_interrupts(|| {
        let entry = REDIRECTION + 2 * gsi;
        // The destination is the boot CPU, whose APIC has number 0.
        ioapic.write_register(entry + 1, 0);
        ioapic.write_register(entry, LEVEL | (u32::from(FIRST_VECTOR) + gsi));
    });
    Ok(())
}

/// Called for every vector above the exceptions, with interrupts off.
pub(super) fn dispatch(vector: u8) {
    match vector {
        apic::SPURIOUS_VECTOR => return,
        apic::TIMER_VECTOR => apic::timer_fired(),
        apic::IPI_VECTOR => ipi::received(),
        _ => {
            let gsi = vector.wrapping_sub(FIRST_VECTOR);
            let slot = HANDLERS.get(usize::from(gsi));
            let handler = slot.map_or(core::ptr::null_mut(), |slot| slot.load(Ordering::Acquire));
            if !handler.is_null() {
                // SAFETY: only `register` stores here, and it stores such functions.
                let handler = unsafe { core::mem::transmute::<*mut (), fn(u32)>(handler) };
                handler(u32::from(gsi));
            }
        }
    }
    apic::end_of_interrupt();
}
