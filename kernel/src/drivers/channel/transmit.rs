//! What waits to be sent: frames gathered in buffers while the device is busy, so that many small
//! writes cost one notification, and none is delayed when it is idle.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use kiln_core::virtqueue::BrokenDevice;

use crate::drivers::virtio::console::{Outgoing, Port};
use crate::mm::OutOfMemory;

/// Pages (as an order) of the buffers for small frames: enough for `PIPE_BUF` bytes and a header.
pub(super) const SMALL_ORDER: u8 = 1;
/// And of those for long writes.
pub(super) const LARGE_ORDER: u8 = 3;
/// Most buffers there are.
const MOST: usize = 6;

/// Buffers on their way, in the order in which their bytes are sent.
pub(super) struct Transmit {
    /// Filled, not yet the device's.
    ready: VecDeque<Outgoing>,
    /// Takes small frames; sent after `ready`.
    open: Option<Outgoing>,
    free: Vec<Outgoing>,
    made: usize,
    /// How many threads wait for a buffer or for everything to be sent.
    pub(super) waiting: usize,
    interrupts: bool,
}

/// A writer's share of the buffers.
pub(super) enum Grant {
    /// This one.
    Buffer(Outgoing),
    /// There may be one more: allocate it and [`Transmit::adopt`] it.
    Allocate,
    /// All are on their way.
    Wait,
}

impl Transmit {
    /// With one small buffer.
    pub(super) fn new() -> Result<Self, OutOfMemory> {
        let mut ready = VecDeque::new();
        let mut free = Vec::new();
        ready.try_reserve_exact(MOST).map_err(|_| OutOfMemory)?;
        free.try_reserve_exact(MOST).map_err(|_| OutOfMemory)?;
        free.push(Outgoing::alloc(SMALL_ORDER)?);
        Ok(Self {
            ready,
            open: None,
            free,
            made: 1,
            waiting: 0,
            interrupts: false,
        })
    }

    /// Adds a frame, given in parts, to what is sent next. False when there is no room for it now.
    pub(super) fn append(&mut self, parts: &[&[u8]]) -> bool {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if self.open.as_ref().is_none_or(|open| open.room() < len) {
            let Some(at) = self.free.iter().position(|free| free.room() >= len) else {
                return false;
            };
            let fresh = self.free.swap_remove(at);
            self.close();
            self.open = Some(fresh);
        }
        self.open
            .as_mut()
            .is_some_and(|open| parts.iter().all(|part| open.append(part)))
    }

    /// Whether a frame of `len` bytes can be added.
    pub(super) fn has_room(&self, len: usize) -> bool {
        let open = self.open.as_ref().is_some_and(|open| open.room() >= len);
        open || self.free.iter().any(|free| free.room() >= len)
    }

    /// An empty buffer for a writer to fill, at least `wanted` bytes long if such can be had.
    pub(super) fn grant(&mut self, wanted: usize) -> Grant {
        if let Some(at) = self.free.iter().position(|free| free.capacity() >= wanted) {
            return Grant::Buffer(self.free.swap_remove(at));
        }
        if self.made < MOST {
            return Grant::Allocate;
        }
        self.free.pop().map_or(Grant::Wait, Grant::Buffer)
    }

    /// Counts a buffer that the caller allocated; false when there are enough already.
    pub(super) fn adopt(&mut self) -> bool {
        let room = self.made < MOST;
        self.made += usize::from(room);
        room
    }

    /// Takes an unused buffer back.
    pub(super) fn give_back(&mut self, mut buffer: Outgoing) {
        buffer.set_filled(0);
        self.free.push(buffer);
    }

    /// Sends a filled buffer after everything before it.
    pub(super) fn enqueue(&mut self, buffer: Outgoing) {
        self.close();
        self.ready.push_back(buffer);
    }

    /// Whether everything has been taken by the device.
    pub(super) fn is_empty(&self, port: &Port) -> bool {
        self.ready.is_empty() && self.open.is_none() && port.sending() == 0
    }

    /// Moves things on: takes back what was sent, hands whole buffers over, and the open one when
    /// the device is idle. Whether buffers became free.
    pub(super) fn pump(&mut self, port: &mut Port) -> Result<bool, BrokenDevice> {
        let mut freed = false;
        loop {
            while let Some(buffer) = port.reclaim()? {
                self.free.push(buffer);
                freed = true;
            }
            if port.sending() == 0 {
                self.close();
            }
            self.hand_over(port);
            // Somebody must come back for what waits, or tell those who wait.
            let more = self.waiting > 0 || self.open.is_some() || !self.ready.is_empty();
            let wanted = more && port.sending() > 0;
            if wanted != self.interrupts {
                self.interrupts = wanted;
                port.interrupt_when_sent(wanted);
            }
            if !port.has_sent() {
                return Ok(freed);
            }
        }
    }

    fn hand_over(&mut self, port: &mut Port) {
        let mut sent = false;
        while let Some(buffer) = self.ready.pop_front() {
            if let Err(buffer) = port.send(buffer) {
                self.ready.push_front(buffer);
                break;
            }
            sent = true;
        }
        if sent {
            port.kick();
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.ready.push_back(open);
        }
    }
}
