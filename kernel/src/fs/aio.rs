//! Linux's asynchronous input and output: the contexts of io_setup(2). Requests are carried out
//! while they are submitted, so a context is a queue of what has been done.
//!
//! A context is known by the address of a page in its program's memory, where Linux has its ring;
//! that page stays empty, which tells libraries to ask the kernel.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::errno::Errno;

use super::memory::{try_arc, try_push};
use crate::sched::WaitQueue;
use crate::sync::SpinLock;
use crate::vm::AddressSpace;

/// `/proc/sys/fs/aio-max-nr`: requests of all contexts.
pub(crate) static MAX_REQUESTS: AtomicU64 = AtomicU64::new(65536);

/// `struct io_event` (linux/aio_abi.h): data, request, result, second result.
pub(crate) type Event = [u64; 4];

/// What was done and not asked for yet.
pub(crate) struct Context {
    space: Weak<AddressSpace>,
    addr: u64,
    /// Requests it may hold.
    room: usize,
    events: SpinLock<VecDeque<Event>>,
    queue: WaitQueue,
}

static CONTEXTS: SpinLock<Vec<Arc<Context>>> = SpinLock::new(Vec::new());

/// Requests that all contexts may hold (`/proc/sys/fs/aio-nr`).
pub(crate) fn in_use() -> u64 {
    let contexts = CONTEXTS.lock();
    let rooms = contexts.iter().map(|context| context.room);
    kiln_core::num::u64_of(rooms.sum())
}

/// A new context of `space`, known by `addr`, for so many requests.
///
/// # Errors
/// `EAGAIN` beyond the limit of all contexts, `ENOMEM`.
pub(crate) fn create(space: &Arc<AddressSpace>, addr: u64, room: usize) -> Result<(), Errno> {
    let mut events = VecDeque::new();
    events.try_reserve_exact(room).map_err(|_| Errno::ENOMEM)?;
    let context = try_arc(Context {
        space: Arc::downgrade(space),
        addr,
        room,
        events: SpinLock::new(events),
        queue: WaitQueue::new(),
    })?;
    // Those of programs that are gone, dropped when the lock isn't held any more.
    let mut gone = Vec::new();
    let mut contexts = CONTEXTS.lock();
    while let Some(at) = contexts.iter().position(|it| it.space.strong_count() == 0) {
        try_push(&mut gone, contexts.swap_remove(at))?;
    }
    try_push(&mut contexts, context)?;
    drop(contexts);
    if in_use() > MAX_REQUESTS.load(Ordering::Relaxed) {
        let _ = remove(space, addr);
        return Err(Errno::EAGAIN);
    }
    Ok(())
}

fn position(
    contexts: &[Arc<Context>],
    space: &Arc<AddressSpace>,
    addr: u64,
) -> Result<usize, Errno> {
    let own = |context: &Arc<Context>| {
        context.addr == addr && core::ptr::eq(context.space.as_ptr(), Arc::as_ptr(space))
    };
    contexts.iter().position(own).ok_or(Errno::EINVAL)
}

/// The context of `space` that is known by `addr`.
///
/// # Errors
/// `EINVAL` when there is none.
pub(crate) fn find(space: &Arc<AddressSpace>, addr: u64) -> Result<Arc<Context>, Errno> {
    let contexts = CONTEXTS.lock();
    let at = position(&contexts, space, addr)?;
    contexts.get(at).cloned().ok_or(Errno::EINVAL)
}

/// Ends a context.
///
/// # Errors
/// `EINVAL` when there is none.
pub(crate) fn remove(space: &Arc<AddressSpace>, addr: u64) -> Result<(), Errno> {
    let mut contexts = CONTEXTS.lock();
    let at = position(&contexts, space, addr)?;
    let context = contexts.swap_remove(at);
    drop(contexts);
    context.queue.wake_all();
    Ok(())
}

impl Context {
    /// Whether one more request may be submitted.
    pub(crate) fn has_room(&self) -> bool {
        self.events.lock().len() < self.room
    }

    /// How many requests it may hold.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// A request has been carried out. There was room for it.
    pub(crate) fn push(&self, event: Event) {
        let mut events = self.events.lock();
        if events.len() < events.capacity() {
            events.push_back(event);
        }
        drop(events);
        self.queue.wake_all();
    }

    /// Takes the oldest event.
    pub(crate) fn pop(&self) -> Option<Event> {
        self.events.lock().pop_front()
    }

    /// Who waits for events.
    pub(crate) fn queue(&self) -> &WaitQueue {
        &self.queue
    }
}
