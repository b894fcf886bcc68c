//! virtio over MMIO, version 2 (virtio 1.2, section 4.2), as QEMU's microvm has it: slots at fixed
//! addresses, each with an interrupt line of its own.
//!
//! Nothing is probed: the job's specification names the slots. Registers and negotiation are
//! `virtio_drivers`' transport; the rings are [`kiln_core::virtqueue`], whose buffers are named by
//! address only. [`blk`] and [`console`] are the devices.

pub(crate) mod blk;
pub(crate) mod console;

use alloc::sync::Arc;
use core::fmt;
use kiln_core::addr::PhysAddr;
use kiln_core::num::u64_of;
use kiln_core::virtqueue::{Layout, SplitQueue};
use virtio_drivers::transport::mmio::{MmioError, MmioTransport, MmioVersion};
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};

use super::dma::{self, DmaMemory};
use crate::arch::irq;
use crate::mm::OutOfMemory;
use crate::mm::mmio::Registers;
use crate::sync::Once;

/// Slots there are.
pub(crate) const SLOTS: u8 = 8;
/// Registers of slot 0.
const BASE: u64 = 0xFEB0_0000;
/// Bytes of registers in a slot.
const STRIDE: usize = 0x200;
/// Interrupt line of slot 0.
const FIRST_GSI: u32 = 5;

/// `VIRTIO_F_VERSION_1`, which every modern device offers and every driver accepts.
const VERSION_1: u64 = 1 << 32;

/// Why a device can't be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ProbeError {
    /// There is no such slot.
    NoSlot(u8),
    /// The slot is empty, or no modern virtio-mmio device.
    NotVirtio(u8, MmioError),
    /// The slot holds a device of another kind.
    WrongDevice(u8, DeviceType),
    /// The device refused what is needed of it.
    Refused(u8, &'static str),
    /// No memory for its queues.
    NoMemory(u8),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlot(slot) => write!(f, "virtio slot {slot}: there is no such slot"),
            Self::NotVirtio(slot, error) => write!(f, "virtio slot {slot}: {error}"),
            Self::WrongDevice(slot, kind) => {
                write!(f, "virtio slot {slot}: unexpected device ({kind:?})")
            }
            Self::Refused(slot, what) => write!(f, "virtio slot {slot}: {what}"),
            Self::NoMemory(slot) => write!(f, "virtio slot {slot}: no memory for its queues"),
        }
    }
}

/// A device being set up, then the registers of one that runs.
pub(super) struct Device {
    slot: u8,
    transport: MmioTransport<'static>,
}

impl Device {
    /// Opens the slot, checks what is there, resets it and negotiates: of `wanted`, what the
    /// device has. Returns the features both sides have.
    fn open(slot: u8, kind: DeviceType, wanted: u64) -> Result<(Self, u64), ProbeError> {
        if slot >= SLOTS {
            return Err(ProbeError::NoSlot(slot));
        }
        let addr = PhysAddr::new(BASE + u64::from(slot) * u64_of(STRIDE));
        let registers =
            Registers::map(addr, STRIDE).map_err(|OutOfMemory| ProbeError::NoMemory(slot))?;
        let mut transport = dma::transport(registers, STRIDE)
            .map_err(|error| ProbeError::NotVirtio(slot, error))?;
        if transport.version() != MmioVersion::Modern {
            return Err(ProbeError::Refused(slot, "a legacy device"));
        }
        if transport.device_type() != kind {
            return Err(ProbeError::WrongDevice(slot, transport.device_type()));
        }
        transport.set_status(DeviceStatus::empty());
        transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
        let features = transport.read_device_features() & (wanted | VERSION_1);
        transport.write_driver_features(features);
        let agreed = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK;
        transport.set_status(agreed);
        if features & VERSION_1 == 0 || !transport.get_status().contains(agreed) {
            return Err(ProbeError::Refused(slot, "the features were refused"));
        }
        Ok((Self { slot, transport }, features))
    }

    /// Makes queue `index` with `size` entries.
    fn queue(&mut self, index: u16, size: u16) -> Result<SplitQueue<DmaMemory>, ProbeError> {
        if self.transport.max_queue_size(index) < u32::from(size) {
            return Err(ProbeError::Refused(self.slot, "a queue is too short"));
        }
        let layout = Layout::new(size);
        let memory =
            DmaMemory::with_len(layout.len).map_err(|_| ProbeError::NoMemory(self.slot))?;
        let addr = memory.addr().raw();
        let (avail, used) = (addr + u64_of(layout.avail), addr + u64_of(layout.used));
        self.transport
            .queue_set(index, size.into(), addr, avail, used);
        SplitQueue::new(memory, size).ok_or(ProbeError::NoMemory(self.slot))
    }

    /// Lets the device run.
    fn start(&mut self) {
        self.transport.finish_init();
    }

    /// Reads a word of the device's configuration.
    fn config(&self, offset: usize) -> Result<u32, ProbeError> {
        self.transport
            .read_config_space(offset)
            .map_err(|_| ProbeError::Refused(self.slot, "its configuration is too short"))
    }

    /// Tells the device to look at queue `index`.
    fn notify(&mut self, index: u16) {
        self.transport.notify(index);
    }

    /// Stops the device for good: it touches no memory after this.
    fn reset(&mut self) {
        self.transport.set_status(DeviceStatus::empty());
    }

    /// Takes note of an interrupt, so that the line falls.
    fn acknowledge(&mut self) {
        self.transport.ack_interrupt();
    }
}

/// A device that interrupts.
pub(super) trait Interrupt: Send + Sync {
    /// Acknowledges, takes note and wakes. Runs with interrupts off; allocates nothing, frees
    /// nothing.
    fn interrupt(&self);
}

/// Who is told of each slot's interrupts.
static OWNERS: [Once<Arc<dyn Interrupt>>; SLOTS as usize] = [const { Once::new() }; SLOTS as usize];

/// Lets `owner` know of `slot`'s interrupts from now on.
pub(super) fn on_interrupt(slot: u8, owner: Arc<dyn Interrupt>) -> Result<(), ProbeError> {
    if let Some(place) = OWNERS.get(usize::from(slot)) {
        place.call_once(|| owner);
    }
    irq::register(FIRST_GSI + u32::from(slot), interrupted)
        .map_err(|_| ProbeError::Refused(slot, "it has no interrupt line"))
}

fn interrupted(gsi: u32) {
    let slot = kiln_core::num::usize_of32(gsi.wrapping_sub(FIRST_GSI));
    if let Some(owner) = OWNERS.get(slot).and_then(Once::get) {
        owner.interrupt();
    }
}
