//! eventfd(2): a counter with the interface of a file.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use kiln_core::abi;
use kiln_core::errno::Errno;

use super::anon::event_file;
use super::file::{Events, File, FileOps, Watch};
use super::memory::try_arc;
use crate::sched::{Mode, WaitQueue};
use crate::sync::SpinLock;
use crate::vm::{IoDst, IoSrc};

/// The largest value the counter takes (eventfd(2)).
const MAX: u64 = u64::MAX - 1;
/// Bytes of a read or write.
const SIZE: usize = 8;

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

struct EventFd {
    counter: SpinLock<u64>,
    semaphore: bool,
    /// For `/proc/PID/fdinfo`.
    id: u32,
    queue: Arc<WaitQueue>,
}

/// A new counter; `flags` are `EFD_*`.
///
/// # Errors
/// `EINVAL` for unknown flags, `ENOMEM`.
pub(crate) fn create(value: u32, flags: u32) -> Result<Arc<File>, Errno> {
    if flags & !(abi::EFD_SEMAPHORE | abi::EFD_CLOEXEC | abi::EFD_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let event = EventFd {
        counter: SpinLock::new(u64::from(value)),
        semaphore: flags & abi::EFD_SEMAPHORE != 0,
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        queue: try_arc(WaitQueue::new())?,
    };
    event_file(b"[eventfd]", try_arc(event)?, flags)
}

fn of(file: &File) -> Result<&EventFd, Errno> {
    file.ops_as().ok_or(Errno::EINVAL)
}

/// EINVAL unless the file is an event counter.
pub(crate) fn check(file: &File) -> Result<(), Errno> {
    of(file).map(|_| ())
}

/// Adds one to an event counter: something that it was given to has happened.
pub(crate) fn signal(file: &File) {
    if let Ok(event) = of(file) {
        event.count();
    }
}

impl EventFd {
    /// Counts one more, or stays at the most.
    fn count(&self) {
        let mut counter = self.counter.lock();
        *counter = counter.saturating_add(1);
        drop(counter);
        self.queue.wake_all();
    }

    /// Takes from the counter what a read gets; `None` at zero.
    fn take(&self) -> Option<u64> {
        let mut counter = self.counter.lock();
        let value = match *counter {
            0 => return None,
            _ if self.semaphore => 1,
            value => value,
        };
        *counter -= value;
        Some(value)
    }

    /// Adds to the counter; `None` where it would be too much.
    fn add(&self, value: u64) -> Option<()> {
        let mut counter = self.counter.lock();
        *counter = counter.checked_add(value).filter(|sum| *sum <= MAX)?;
        Some(())
    }

    fn wait<T>(&self, file: &File, attempt: impl FnMut() -> Option<T>) -> Result<T, Errno> {
        let mut attempt = attempt;
        if file.has(abi::O_NONBLOCK) {
            return attempt().ok_or(Errno::EAGAIN);
        }
        self.queue
            .wait(Mode::Interruptible, None, attempt)
            .map_err(|_| Errno::ERESTARTSYS)
    }
}

impl FileOps for EventFd {
    fn read(&self, file: &File, dst: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        if dst.remaining() < SIZE {
            return Err(Errno::EINVAL);
        }
        let value = self.wait(file, || self.take())?;
        self.queue.wake_all();
        dst.put(&value.to_le_bytes())
    }

    fn write(&self, file: &File, src: &mut IoSrc<'_>, _: &mut u64) -> Result<usize, Errno> {
        if src.remaining() != SIZE {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; SIZE];
        src.take(&mut bytes)?;
        let value = u64::from_le_bytes(bytes);
        if value > MAX {
            return Err(Errno::EINVAL);
        }
        self.wait(file, || self.add(value))?;
        self.queue.wake_all();
        Ok(SIZE)
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn ignores_seek(&self) -> bool {
        true
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn Watch>) -> Events {
        if let Some(watch) = watch {
            watch.add(&self.queue);
        }
        let counter = *self.counter.lock();
        let mut events = Events::empty();
        events.set(Events::IN, counter > 0);
        events.set(Events::OUT, counter < MAX);
        events
    }

    fn describe(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        let (count, semaphore) = (*self.counter.lock(), u8::from(self.semaphore));
        write!(
            out,
            "eventfd-count: {count:16x}\neventfd-id: {}\neventfd-semaphore: {semaphore}\n",
            self.id
        )
    }
}
