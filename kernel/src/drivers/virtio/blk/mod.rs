//! virtio-blk (virtio 1.2, section 5.2): a queue of 256 descriptors, many requests in flight.
//!
//! [`requests`] has the queue; here are the disk's properties and its [`BlockDevice`] side. The
//! data goes straight from and to the callers' frames. The calling thread sleeps; the interrupt
//! handler takes finished requests back and wakes.

mod requests;

use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use kiln_core::num::{u64_of, usize_of32};
use kiln_core::virtqueue::Buffer;
use virtio_drivers::transport::DeviceType;

use self::requests::{Batch, Kind, Requests, joined};
use super::{Device, Interrupt, ProbeError};
use crate::drivers::block::{
    BlockDevice, Counters, DiskStats, IoError, Memory, SECTOR_SIZE, Segment,
};
use crate::mm::FrameRef;
use crate::sched::WaitQueue;
use crate::sync::IrqLock;

const F_SEG_MAX: u64 = 1 << 2;
const F_GEOMETRY: u64 = 1 << 4;
const F_RO: u64 = 1 << 5;
const F_FLUSH: u64 = 1 << 9;
const F_DISCARD: u64 = 1 << 13;

const CONFIG_CAPACITY: usize = 0;
const CONFIG_SEG_MAX: usize = 12;
const CONFIG_GEOMETRY: usize = 16;

/// Most data buffers in a request, so that two of the longest are in flight.
const MAX_BUFFERS: usize = 126;
/// Most bytes in a request.
const MAX_LEN: usize = 1 << 20;
/// Most sectors in a discard: what every device takes.
const MAX_DISCARD: u64 = 1 << 21;

/// A virtio disk.
pub(crate) struct VirtioBlk {
    name: String,
    sectors: u64,
    read_only: bool,
    /// A program has said that it isn't to be written.
    protected: AtomicBool,
    features: u64,
    max_buffers: usize,
    requests: IrqLock<Requests>,
    finished: Arc<WaitQueue>,
    counters: Counters,
}

impl VirtioBlk {
    /// Sets up the disk in `slot`. `read_only`: it isn't to be written, even if it could.
    pub(crate) fn probe(slot: u8, name: String, read_only: bool) -> Result<Arc<Self>, ProbeError> {
        let wanted = F_SEG_MAX | F_GEOMETRY | F_RO | F_FLUSH | F_DISCARD;
        let (device, features) = Device::open(slot, DeviceType::Block, wanted)?;
        let low = u64::from(device.config(CONFIG_CAPACITY)?);
        let high = u64::from(device.config(CONFIG_CAPACITY + 4)?);
        let max_buffers = if features & F_SEG_MAX == 0 {
            1
        } else {
            usize_of32(device.config(CONFIG_SEG_MAX)?).clamp(1, MAX_BUFFERS)
        };
        let requests = Requests::new(device)?;
        let disk = Arc::new(Self {
            name,
            sectors: high << 32 | low,
            read_only: read_only || features & F_RO != 0,
            protected: AtomicBool::new(false),
            features,
            max_buffers,
            requests: IrqLock::new(requests),
            finished: Arc::new(WaitQueue::new()),
            counters: Counters::default(),
        });
        super::on_interrupt(slot, Arc::clone(&disk) as Arc<dyn Interrupt>)?;
        Ok(disk)
    }

    /// Moves the data in as few requests as the device allows, all in flight together.
    fn transfer(&self, kind: Kind, sector: u64, memory: Memory<'_>) -> Result<u64, IoError> {
        let len = self.check(sector, memory)?;
        let mut batch = Batch::new(&self.requests, &self.finished);
        let (mut first, mut at) = (0, sector);
        while first < memory.count() {
            let plan = self.plan(memory.from(first));
            let pieces = memory.from(first).take(plan.pieces);
            batch.submit(kind, at, plan.buffers, joined(kind, pieces));
            first += plan.pieces;
            at += u64_of(plan.bytes / SECTOR_SIZE);
        }
        self.counted(batch.finish())?;
        Ok(len)
    }

    fn check(&self, sector: u64, memory: Memory<'_>) -> Result<u64, IoError> {
        let whole = memory
            .from(0)
            .all(|piece| piece.len() > 0 && piece.len().is_multiple_of(SECTOR_SIZE));
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
        let mut batch = Batch::new(&self.requests, &self.finished);
        batch.submit(kind, 0, 1, buffer.into_iter());
        self.counted(batch.finish())
    }

    fn counted(&self, result: Result<(), IoError>) -> Result<(), IoError> {
        if result == Err(IoError::Device) {
            self.counters.errors.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn writable(&self) -> Result<(), IoError> {
        if self.read_only() {
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
        self.read_only || self.protected.load(Ordering::Relaxed)
    }

    fn set_read_only(&self, on: bool) -> Result<(), IoError> {
        self.protected.store(on, Ordering::Relaxed);
        Ok(())
    }

    fn geometry(&self) -> Option<[u8; 4]> {
        if self.features & F_GEOMETRY == 0 {
            return None;
        }
        let word = self.requests.lock().config(CONFIG_GEOMETRY).ok()?;
        Some(word.to_le_bytes())
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

    fn can_discard(&self) -> bool {
        self.features & F_DISCARD != 0
    }

    fn discard(&self, sector: u64, count: u64) -> Result<(), IoError> {
        self.writable()?;
        if !self.can_discard() {
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
        self.requests.lock().interrupted();
        self.finished.wake_all();
    }
}
