//! virtio-blk (virtio 1.2, section 5.2): a queue of 256 descriptors, many requests in flight.
//!
//! A request's header and status lie in a page of the driver's own, one slot each ([`Slots`]); the
//! data goes straight from and to the callers' frames. The calling thread sleeps; the interrupt
//! handler takes finished chains back and wakes.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use kiln_core::num::{u64_of, usize_of32};
use kiln_core::virtqueue::{Buffer, RingMemory, SplitQueue};
use virtio_drivers::transport::DeviceType;

use super::{Device, Interrupt, ProbeError};
use crate::drivers::block::Segment;
use crate::drivers::block::{BlockDevice, Counters, DiskStats, IoError, Memory, SECTOR_SIZE};
use crate::drivers::dma::DmaMemory;
use crate::drivers::wait_until;
use crate::mm::FrameRef;
use crate::sched::WaitQueue;
use crate::sync::IrqLock;

const F_SEG_MAX: u64 = 1 << 2;
const F_RO: u64 = 1 << 5;
const F_FLUSH: u64 = 1 << 9;
const F_DISCARD: u64 = 1 << 13;

const CONFIG_CAPACITY: usize = 0;
const CONFIG_SEG_MAX: usize = 12;

const QUEUE: u16 = 0;
const QUEUE_SIZE: u16 = 256;
/// Most data buffers in a request, so that two of the longest are in flight.
const MAX_BUFFERS: usize = 126;
/// Most bytes in a request.
const MAX_LEN: usize = 1 << 20;
/// Most sectors in a discard: what every device takes.
const MAX_DISCARD: u64 = 1 << 21;

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
enum Kind {
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

/// A virtio disk.
pub(crate) struct VirtioBlk {
    name: String,
    sectors: u64,
    read_only: bool,
    features: u64,
    max_buffers: usize,
    state: IrqLock<State>,
    finished: Arc<WaitQueue>,
    counters: Counters,
}

struct State {
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

impl VirtioBlk {
    /// Sets up the disk in `slot`. `read_only`: it isn't to be written, even if it could.
    pub(crate) fn probe(slot: u8, name: String, read_only: bool) -> Result<Arc<Self>, ProbeError> {
        let wanted = F_SEG_MAX | F_RO | F_FLUSH | F_DISCARD;
        let (mut device, features) = Device::open(slot, DeviceType::Block, wanted)?;
        let low = u64::from(device.config(CONFIG_CAPACITY)?);
        let high = u64::from(device.config(CONFIG_CAPACITY + 4)?);
        let max_buffers = if features & F_SEG_MAX == 0 {
            1
        } else {
            usize_of32(device.config(CONFIG_SEG_MAX)?).clamp(1, MAX_BUFFERS)
        };
        let queue = device.queue(QUEUE, QUEUE_SIZE)?;
        let no_memory = ProbeError::NoMemory(slot);
        let headers = DmaMemory::alloc(0).map_err(|_| no_memory.clone())?;
        let mut slot_of = Vec::new();
        slot_of
            .try_reserve_exact(QUEUE_SIZE.into())
            .map_err(|_| no_memory)?;
        slot_of.resize(QUEUE_SIZE.into(), 0);
        device.start();
        let slots = Slots::default();
        let state = State {
            device,
            queue,
            headers,
            slots,
            slot_of,
            broken: false,
        };
        let disk = Arc::new(Self {
            name,
            sectors: high << 32 | low,
            read_only: read_only || features & F_RO != 0,
            features,
            max_buffers,
            state: IrqLock::new(state),
            finished: Arc::new(WaitQueue::new()),
            counters: Counters::default(),
        });
        super::on_interrupt(slot, Arc::clone(&disk) as Arc<dyn Interrupt>)?;
        Ok(disk)
    }

    /// Moves the data in as few requests as the device allows, all in flight together.
    fn transfer(&self, kind: Kind, sector: u64, memory: Memory<'_>) -> Result<u64, IoError> {
        let len = self.check(sector, memory)?;
        let mut batch = Batch::new(self);
        let (mut first, mut at) = (0, sector);
        while first < memory.count() {
            let plan = self.plan(memory.from(first));
            let pieces = memory.from(first).take(plan.pieces);
            batch.submit(kind, at, plan.buffers, joined(kind, pieces));
            first += plan.pieces;
            at += u64_of(plan.bytes / SECTOR_SIZE);
        }
        batch.finish()?;
        Ok(len)
    }

    fn check(&self, sector: u64, memory: Memory<'_>) -> Result<u64, IoError> {
        let whole = memory
            .from(0)
            .all(|piece| piece.len() > 0 && piece.len() % SECTOR_SIZE == 0);
        let len: usize = memory.from(0).map(|piece| piece.len()).sum();
        let end = sector.checked_add(u64_of(len / SECTOR_SIZE));
        if !whole || end.is_none_or(|end| end > self.sectors) {
            return Err(IoError::OutOfRange);
        }
        Ok(u64_of(len))
    }

    /// How much goes into the next request.
    fn plan<'a>(&self, pieces: impl Iterator<Item = Segment<'a>>) -> Plan {
        let mut plan = Plan::default();
        let mut end = None;
        for piece in pieces {
            let joins = end == Some(piece.addr().raw());
            let buffers = plan.buffers + usize::from(!joins);
            let bytes = plan.bytes + piece.len();
            if buffers > self.max_buffers || bytes > MAX_LEN {
                break;
            }
            plan = Plan {
                pieces: plan.pieces + 1,
                buffers,
                bytes,
            };
            end = Some(piece.addr().raw() + u64_of(piece.len()));
        }
        plan
    }

    fn simple(&self, kind: Kind, buffer: Option<Buffer>) -> Result<(), IoError> {
        let mut batch = Batch::new(self);
        batch.submit(kind, 0, 1, buffer.into_iter());
        batch.finish()
    }

    fn writable(&self) -> Result<(), IoError> {
        if self.read_only {
            Err(IoError::ReadOnly)
        } else {
            Ok(())
        }
    }
}

/// What goes into one request.
#[derive(Clone, Copy, Default)]
struct Plan {
    pieces: usize,
    /// Data buffers it takes.
    buffers: usize,
    bytes: usize,
}

impl BlockDevice for VirtioBlk {
    fn name(&self) -> &str {
        &self.name
    }

    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read(&self, sector: u64, into: Memory<'_>) -> Result<(), IoError> {
        let len = self.transfer(Kind::Read, sector, into)?;
        self.counters.read.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }

    fn write(&self, sector: u64, from: Memory<'_>) -> Result<(), IoError> {
        self.writable()?;
        let len = self.transfer(Kind::Write, sector, from)?;
        self.counters.written.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }

    fn flush(&self) -> Result<(), IoError> {
        // Without the feature the device writes through (5.2.6.2).
        if self.read_only || self.features & F_FLUSH == 0 {
            return Ok(());
        }
        self.simple(Kind::Flush, None).inspect_err(|_| {
            self.counters.failed_flushes.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn discard(&self, sector: u64, count: u64) -> Result<(), IoError> {
        self.writable()?;
        if self.features & F_DISCARD == 0 {
            return Err(IoError::Unsupported);
        }
        if sector
            .checked_add(count)
            .is_none_or(|end| end > self.sectors)
        {
            return Err(IoError::OutOfRange);
        }
        let frame = FrameRef::alloc().map_err(|_| IoError::NoMemory)?;
        let mut done = 0;
        while done < count {
            let now = (count - done).min(MAX_DISCARD);
            // struct virtio_blk_discard_write_zeroes: sector, count, no flags.
            frame.write(0, &(sector + done).to_le_bytes());
            frame.write(8, &now.to_le_bytes());
            self.simple(Kind::Discard, Some(Buffer::to_device(frame.addr(), 16)))?;
            done += now;
        }
        Ok(())
    }

    fn serial(&self, buffer: &mut [u8; 20]) -> Result<usize, IoError> {
        let frame = FrameRef::alloc_zeroed().map_err(|_| IoError::NoMemory)?;
        self.simple(Kind::Serial, Some(Buffer::from_device(frame.addr(), 20)))?;
        frame.read(0, buffer);
        Ok(buffer
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(buffer.len()))
    }

    fn stats(&self) -> DiskStats {
        self.counters.snapshot()
    }
}

impl Interrupt for VirtioBlk {
    fn interrupt(&self) {
        let mut state = self.state.lock();
        state.device.acknowledge();
        let any = state.reap();
        drop(state);
        if any {
            self.finished.wake_all();
        }
    }
}

/// The pieces as buffers, neighbours in memory made one.
fn joined<'a>(
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

impl State {
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

    /// Takes finished chains back; whether there were any.
    fn reap(&mut self) -> bool {
        let mut any = false;
        loop {
            match self.queue.pop() {
                Ok(Some(used)) => {
                    let slot = self.slot_of.get(usize::from(used.token)).copied();
                    let bit = slot.and_then(|slot| SlotSet::checked_shl(1, slot.into()));
                    self.slots.done |= bit.unwrap_or(0);
                    any = true;
                }
                Ok(None) => return any,
                Err(_) => {
                    self.broken = true;
                    return true;
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
struct Batch<'a> {
    disk: &'a VirtioBlk,
    mine: SlotSet,
    worst: u8,
}

impl<'a> Batch<'a> {
    fn new(disk: &'a VirtioBlk) -> Self {
        Self {
            disk,
            mine: 0,
            worst: STATUS_OK,
        }
    }

    /// Puts a request of at most `buffers` data buffers into the queue, waiting for room if there
    /// is none.
    fn submit(
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
    fn wait(&mut self, mut ready: impl FnMut(&mut State, &mut SlotSet) -> Option<()>) {
        let (mine, worst) = (&mut self.mine, &mut self.worst);
        wait_until(&self.disk.finished, || {
            let mut state = self.disk.state.lock();
            state.reap();
            *worst = state.collect(mine).max(*worst);
            if state.broken {
                *worst = NO_STATUS;
                return Some(());
            }
            ready(&mut state, mine)
        });
    }

    fn finish(mut self) -> Result<(), IoError> {
        let disk = self.disk;
        disk.state.lock().kick();
        self.wait(|_, mine| (*mine == 0).then_some(()));
        match self.worst {
            STATUS_OK => Ok(()),
            STATUS_UNSUPPORTED => Err(IoError::Unsupported),
            _ => {
                disk.counters.errors.fetch_add(1, Ordering::Relaxed);
                Err(IoError::Device)
            }
        }
    }
}
