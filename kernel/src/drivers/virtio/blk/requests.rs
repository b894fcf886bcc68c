//! The queue of a virtio disk. A request's header and status lie in a page of the driver's own, one
//! slot each ([`Slots`]); [`Batch`] is the requests of one call, which waits for them.

use alloc::vec::Vec;
use kiln_core::num::{u64_of, usize_of32};
use kiln_core::virtqueue::{Buffer, RingMemory, SplitQueue};

use super::super::{Device, ProbeError};
use crate::drivers::block::{IoError, Segment};
use crate::drivers::dma::DmaMemory;
use crate::drivers::wait_until;
use crate::sched::WaitQueue;
use crate::sync::IrqLock;

const QUEUE: u16 = 0;
const QUEUE_SIZE: u16 = 256;

/// Bytes of a slot in the page of headers: the header, then the status.
const SLOT_LEN: usize = 32;
const HEADER_LEN: u32 = 16;
const STATUS: usize = 16;
const STATUS_OK: u8 = 0;
const STATUS_UNSUPPORTED: u8 = 2;
/// What stands in the status before the device writes it: none of its values.
const NO_STATUS: u8 = 0xFF;

/// Kinds of requests (`VIRTIO_BLK_T_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(super) enum Kind {
    Read = 0,
    Write = 1,
    Flush = 4,
    Serial = 8,
    Discard = 11,
}

impl Kind {
    /// Whether the device writes the data.
    const fn device_writes(self) -> bool {
        matches!(self, Self::Read | Self::Serial)
    }
}

/// The queue, and what is in it.
pub(super) struct Requests {
    device: Device,
    queue: SplitQueue<DmaMemory>,
    headers: DmaMemory,
    slots: Slots,
    /// The slot of each chain, by its token.
    slot_of: Vec<u8>,
    /// The device has broken the protocol; nothing is asked of it any more.
    broken: bool,
}

/// A set of slots, one bit each.
type SlotSet = u128;

/// Which slots are in use, and which of these are done. A slot is its owner's until collected.
#[derive(Default)]
struct Slots {
    used: SlotSet,
    done: SlotSet,
}

impl Slots {
    fn take(&mut self) -> Option<u8> {
        let slot = u8::try_from(self.used.trailing_ones()).ok()?;
        let bit = SlotSet::checked_shl(1, slot.into())?;
        self.used |= bit;
        Some(slot)
    }

    fn release(&mut self, set: SlotSet) {
        self.used &= !set;
        self.done &= !set;
    }
}

/// The pieces as buffers, neighbours in memory made one.
pub(super) fn joined<'a>(
    kind: Kind,
    pieces: impl Iterator<Item = Segment<'a>>,
) -> impl Iterator<Item = Buffer> {
    let mut pieces = pieces.peekable();
    core::iter::from_fn(move || {
        let piece = pieces.next()?;
        let addr = piece.addr();
        let mut len = piece.len();
        let adjoins =
            |next: &Segment<'_>, len: usize| next.addr().raw() == addr.raw() + u64_of(len);
        while let Some(next) = pieces.next_if(|next| adjoins(next, len)) {
            len += next.len();
        }
        // A request has at most `MAX_LEN` bytes.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        Some(Buffer {
            addr,
            len,
            device_writes: kind.device_writes(),
        })
    })
}

impl Requests {
    /// Reads a word of the device's configuration.
    pub(super) fn config(&self, offset: usize) -> Result<u32, ProbeError> {
        self.device.config(offset)
    }

    /// The queue of a device whose features are agreed on, which starts here.
    pub(super) fn new(mut device: Device) -> Result<Self, ProbeError> {
        let slot = device.slot;
        let no_memory = || ProbeError::NoMemory(slot);
        let queue = device.queue(QUEUE, QUEUE_SIZE)?;
        let headers = DmaMemory::alloc(0).map_err(|_| no_memory())?;
        let mut slot_of = Vec::new();
        let reserved = slot_of.try_reserve_exact(QUEUE_SIZE.into());
        reserved.map_err(|_| no_memory())?;
        slot_of.resize(QUEUE_SIZE.into(), 0);
        device.start();
        let slots = Slots::default();
        Ok(Self {
            device,
            queue,
            headers,
            slots,
            slot_of,
            broken: false,
        })
    }

    /// Acknowledges an interrupt and takes finished chains back. All who wait must look then: whoever
    /// looked just before it may have taken back what another one waits for.
    pub(super) fn interrupted(&mut self) {
        self.device.acknowledge();
        self.reap();
    }

    /// What can change without an interrupt and others wait for: a free slot, or the device's end.
    fn state(&self) -> (bool, bool) {
        (self.slots.used == SlotSet::MAX, self.broken)
    }

    /// Puts a request into the queue: the slot it got, or `None` when there is no room.
    fn submit(
        &mut self,
        kind: Kind,
        sector: u64,
        data: impl Iterator<Item = Buffer>,
    ) -> Option<SlotSet> {
        let slot = self.slots.take()?;
        let set = SlotSet::checked_shl(1, slot.into())?;
        let at = SLOT_LEN * usize::from(slot);
        self.headers.write64(at, u64::from(kind as u32));
        self.headers.write64(at + 8, sector);
        self.headers.write8(at + STATUS, NO_STATUS);
        let header = Buffer::to_device(self.headers.addr_of(at), HEADER_LEN);
        let status = Buffer::from_device(self.headers.addr_of(at + STATUS), 1);
        let chain = core::iter::once(header)
            .chain(data)
            .chain(core::iter::once(status));
        let Ok(token) = self.queue.push(chain) else {
            self.slots.release(set);
            return None;
        };
        if let Some(owner) = self.slot_of.get_mut(usize::from(token)) {
            *owner = slot;
        }
        Some(set)
    }

    fn has_room(&self, descriptors: usize) -> bool {
        self.queue.free() >= descriptors && self.slots.used != SlotSet::MAX
    }

    fn kick(&mut self) {
        if self.queue.should_notify() {
            self.device.notify(QUEUE);
        }
    }

    /// Takes finished chains back.
    fn reap(&mut self) {
        loop {
            match self.queue.pop() {
                Ok(Some(used)) => {
                    let slot = self.slot_of.get(usize::from(used.token)).copied();
                    let bit = slot.and_then(|slot| SlotSet::checked_shl(1, slot.into()));
                    self.slots.done |= bit.unwrap_or(0);
                }
                Ok(None) => return,
                Err(_) => {
                    self.broken = true;
                    // It must not touch the callers' memory any more.
                    self.device.reset();
                    return;
                }
            }
        }
    }

    /// Takes those of `mine` that are done out of it and gives their slots back. The worst status.
    fn collect(&mut self, mine: &mut SlotSet) -> u8 {
        let done = *mine & self.slots.done;
        let mut worst = STATUS_OK;
        let mut left = done;
        while left != 0 {
            let slot = usize_of32(left.trailing_zeros());
            left &= left - 1;
            worst = worst.max(self.headers.read8(SLOT_LEN * slot + STATUS));
        }
        self.slots.release(done);
        *mine &= !done;
        worst
    }
}

/// The requests of one call.
pub(super) struct Batch<'a> {
    requests: &'a IrqLock<Requests>,
    finished: &'a WaitQueue,
    mine: SlotSet,
    worst: u8,
}

impl<'a> Batch<'a> {
    pub(super) fn new(requests: &'a IrqLock<Requests>, finished: &'a WaitQueue) -> Self {
        Self {
            requests,
            finished,
            mine: 0,
            worst: STATUS_OK,
        }
    }

    /// Puts a request of at most `buffers` data buffers into the queue, waiting for room if there
    /// is none.
    pub(super) fn submit(
        &mut self,
        kind: Kind,
        sector: u64,
        buffers: usize,
        data: impl Iterator<Item = Buffer>,
    ) {
        let mut data = Some(data);
        self.wait(|state, mine| {
            if !state.has_room(buffers + 2) {
                state.kick();
                return None;
            }
            *mine |= state.submit(kind, sector, data.take()?)?;
            Some(())
        });
    }

    /// Sleeps until `ready` says so or the device is broken, collecting what is done meanwhile.
    fn wait(&mut self, mut ready: impl FnMut(&mut Requests, &mut SlotSet) -> Option<()>) {
        let (mine, worst) = (&mut self.mine, &mut self.worst);
        wait_until(self.finished, || {
            let mut requests = self.requests.lock();
            let before = requests.state();
            requests.reap();
            *worst = requests.collect(mine).max(*worst);
            let result = if requests.broken {
                *worst = NO_STATUS;
                Some(())
            } else {
                ready(&mut requests, mine)
            };
            let changed = requests.state() != before;
            drop(requests);
            if changed {
                self.finished.wake_all();
            }
            result
        });
    }

    /// Waits for all of them.
    pub(super) fn finish(mut self) -> Result<(), IoError> {
        self.requests.lock().kick();
        self.wait(|_, mine| (*mine == 0).then_some(()));
        match self.worst {
            STATUS_OK => Ok(()),
            STATUS_UNSUPPORTED => Err(IoError::Unsupported),
            _ => Err(IoError::Device),
        }
    }
}
