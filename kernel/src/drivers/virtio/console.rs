//! A virtio-serial port (virtio 1.2, section 5.3): bytes out, bytes in, no meaning.
//!
//! The launcher gives the channel port 1 of a multiport device, because QEMU throttles such a port
//! when the other side doesn't read; a console port (port 0) would drop what doesn't fit. Of the
//! control queues only the sending one is used, to say that the port is open. A device without
//! multiport works too, as port 0.

use alloc::vec::Vec;
use kiln_core::num::usize_of32;
use kiln_core::virtqueue::{BrokenDevice, Buffer, RingMemory, SplitQueue};
use virtio_drivers::transport::DeviceType;

use super::{Device, ProbeError};
use crate::drivers::dma::DmaMemory;
use crate::mm::OutOfMemory;

const F_MULTIPORT: u64 = 1 << 1;
/// The port, when there are several, and the first of its two queues (5.3.2).
const PORT: u32 = 1;
const FIRST_QUEUE: u16 = 4;
const CONTROL_TRANSMIT: u16 = 3;
const QUEUE_SIZE: u16 = 32;
const CONTROL_QUEUE_SIZE: u16 = 4;

/// `VIRTIO_CONSOLE_*` events (5.3.6.2).
const DEVICE_READY: u16 = 0;
const PORT_READY: u16 = 3;
const PORT_OPEN: u16 = 6;
/// Bytes of a control message: id, event, value.
const MESSAGE_LEN: u32 = 8;

/// A buffer on its way out: filled from the front, then sent as a whole.
pub(crate) struct Outgoing {
    memory: DmaMemory,
    filled: usize,
}

impl Outgoing {
    /// An empty buffer of `1 << order` pages.
    pub(crate) fn alloc(order: u8) -> Result<Self, OutOfMemory> {
        Ok(Self {
            memory: DmaMemory::alloc(order)?,
            filled: 0,
        })
    }

    /// Bytes it takes in all.
    pub(crate) fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Bytes it still takes.
    pub(crate) fn room(&self) -> usize {
        self.memory.len() - self.filled
    }

    /// Adds all of `bytes`, or nothing when they don't fit.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> bool {
        let end = self.filled + bytes.len();
        let Some(place) = self.memory.bytes_mut().get_mut(self.filled..end) else {
            return false;
        };
        place.copy_from_slice(bytes);
        self.filled = end;
        true
    }

    /// Its bytes, for filling in place; [`Outgoing::set_filled`] says how many there are then.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.bytes_mut()
    }

    /// The first `filled` bytes are to be sent.
    pub(crate) fn set_filled(&mut self, filled: usize) {
        self.filled = filled.min(self.memory.len());
    }
}

/// One of the port's two queues, and the memory the device holds, by token.
struct Line<T> {
    index: u16,
    queue: SplitQueue<DmaMemory>,
    held: Vec<Option<T>>,
}

impl<T> Line<T> {
    fn new(device: &mut Device, index: u16) -> Result<Self, ProbeError> {
        let queue = device.queue(index, QUEUE_SIZE)?;
        let mut held = Vec::new();
        let reserved = held.try_reserve_exact(QUEUE_SIZE.into());
        reserved.map_err(|_| ProbeError::NoMemory(device.slot))?;
        Ok(Self { index, queue, held })
    }

    /// Hands `owner`'s memory to the device, or the owner back when the queue is full.
    fn push(&mut self, buffer: Buffer, owner: T) -> Result<(), T> {
        let Ok(token) = self.queue.push([buffer]) else {
            return Err(owner);
        };
        let at = usize::from(token);
        // There is room for every token.
        while self.held.len() <= at {
            self.held.push(None);
        }
        if let Some(place) = self.held.get_mut(at) {
            *place = Some(owner);
        }
        Ok(())
    }

    /// What the device is done with, and how much it wrote.
    fn pop(&mut self) -> Result<Option<(T, u32)>, BrokenDevice> {
        let Some(used) = self.queue.pop()? else {
            return Ok(None);
        };
        let owner = self
            .held
            .get_mut(usize::from(used.token))
            .and_then(Option::take);
        Ok(Some((owner.ok_or(BrokenDevice)?, used.written)))
    }

    fn kick(&self, device: &mut Device) {
        if self.queue.should_notify() {
            device.notify(self.index);
        }
    }
}

/// The port.
pub(crate) struct Port {
    device: Device,
    incoming: Line<DmaMemory>,
    outgoing: Line<Outgoing>,
    /// The device may still look at what was said at the start.
    _control: Option<SplitQueue<DmaMemory>>,
}

impl Port {
    /// Opens the port of the device in `slot`, with a page to receive in.
    pub(crate) fn probe(slot: u8) -> Result<Self, ProbeError> {
        let (mut device, features) = Device::open(slot, DeviceType::Console, F_MULTIPORT)?;
        let multiport = features & F_MULTIPORT != 0;
        let first = if multiport { FIRST_QUEUE } else { 0 };
        let incoming = Line::new(&mut device, first)?;
        let mut outgoing = Line::new(&mut device, first + 1)?;
        outgoing.queue.set_interrupts(false);
        let control = if multiport {
            Some(device.queue(CONTROL_TRANSMIT, CONTROL_QUEUE_SIZE)?)
        } else {
            None
        };
        device.start();
        let mut port = Self {
            device,
            incoming,
            outgoing,
            _control: None,
        };
        if let Some(mut queue) = control {
            announce(&mut port.device, &mut queue);
            port._control = Some(queue);
        }
        port.add_receive_page()
            .map_err(|_| ProbeError::NoMemory(slot))?;
        Ok(port)
    }

    /// Stops the device for good.
    pub(crate) fn reset(&mut self) {
        self.device.reset();
    }

    /// Takes note of an interrupt.
    pub(crate) fn acknowledge(&mut self) {
        self.device.acknowledge();
    }

    /// Gives the device one more page to put what it receives.
    pub(crate) fn add_receive_page(&mut self) -> Result<(), OutOfMemory> {
        let page = DmaMemory::alloc(0)?;
        self.post(page);
        self.incoming.kick(&mut self.device);
        Ok(())
    }

    /// Hands everything received to `sink`, in order; whether there was anything.
    pub(crate) fn receive(&mut self, mut sink: impl FnMut(&[u8])) -> Result<bool, BrokenDevice> {
        let mut any = false;
        while let Some((mut page, written)) = self.incoming.pop()? {
            any = true;
            sink(
                page.bytes_mut()
                    .get(..usize_of32(written))
                    .ok_or(BrokenDevice)?,
            );
            self.post(page);
        }
        if any {
            self.incoming.kick(&mut self.device);
        }
        Ok(any)
    }

    /// Puts a filled buffer into the queue; [`Port::kick`] tells the device. The buffer again when
    /// there is no room.
    pub(crate) fn send(&mut self, buffer: Outgoing) -> Result<(), Outgoing> {
        let len = u32::try_from(buffer.filled).unwrap_or(0);
        self.outgoing
            .push(Buffer::to_device(buffer.memory.addr(), len), buffer)
    }

    /// Tells the device of what was put into the queue.
    pub(crate) fn kick(&mut self) {
        self.outgoing.kick(&mut self.device);
    }

    /// A buffer whose bytes the device has taken, empty again.
    pub(crate) fn reclaim(&mut self) -> Result<Option<Outgoing>, BrokenDevice> {
        let popped = self.outgoing.pop()?;
        Ok(popped.map(|(mut buffer, _)| {
            buffer.filled = 0;
            buffer
        }))
    }

    /// Whether [`Port::reclaim`] would give a buffer.
    pub(crate) fn has_sent(&self) -> bool {
        self.outgoing.queue.has_used()
    }

    /// Buffers the device holds, or has finished with since [`Port::reclaim`].
    pub(crate) fn sending(&self) -> usize {
        self.outgoing.queue.in_flight()
    }

    /// Whether to interrupt when bytes were taken. [`Port::reclaim`] once more after switching it
    /// on.
    pub(crate) fn interrupt_when_sent(&mut self, wanted: bool) {
        self.outgoing.queue.set_interrupts(wanted);
    }

    fn post(&mut self, page: DmaMemory) {
        let len = u32::try_from(page.len()).unwrap_or(0);
        // With fewer pages than descriptors there is room; a page too many is given back.
        drop(
            self.incoming
                .push(Buffer::from_device(page.addr(), len), page)
                .err(),
        );
    }
}

/// Says that the port is open, in messages that lie behind the queue in its page.
fn announce(device: &mut Device, queue: &mut SplitQueue<DmaMemory>) {
    const MESSAGES: usize = 2048;
    let messages = [(0, DEVICE_READY), (PORT, PORT_READY), (PORT, PORT_OPEN)];
    for (number, (port, event)) in messages.into_iter().enumerate() {
        let at = MESSAGES + usize_of32(MESSAGE_LEN) * number;
        let message = u64::from(port) | u64::from(event) << 32 | 1 << 48;
        queue.memory().write64(at, message);
        let addr = queue.memory().addr_of(at);
        // Three messages for four descriptors.
        let _ = queue.push([Buffer::to_device(addr, MESSAGE_LEN)]);
    }
    queue.set_interrupts(false);
    if queue.should_notify() {
        device.notify(CONTROL_TRANSMIT);
    }
}
