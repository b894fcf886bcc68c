//! epoll(7): many files watched by one.
//!
//! An [`Item`] is a file with what is wanted of it. It observes the wait queues of its file; when one
//! of them wakes, the item goes to the end of the ready list, which costs no allocation and is
//! allowed in interrupts. [`Epoll::collect`] goes through that list and looks at the files again:
//! only what it sees then counts. Level-triggered items stay in the list as long as they are ready.

mod item;
mod nest;
mod ready;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::abi;
use kiln_core::errno::Errno;

use super::anon::event_file;
use super::file::{Events, File, FileOps, Ioctl, Watch};
use super::memory::try_arc;
use crate::mm::kmem;
use crate::sched::{Mutex, WaitQueue, WakeTarget};
use crate::sync::IrqLock;
use item::Item;
use nest::Nest;
use ready::{List, Ready};

/// Bits of `events` that aren't states of a file.
const MODES: u32 = abi::EPOLLET | abi::EPOLLONESHOT | abi::EPOLLWAKEUP | abi::EPOLLEXCLUSIVE;

/// What is wanted of a file, and what the caller gets back for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interest {
    /// `EPOLL*` bits.
    pub(crate) events: u32,
    /// The caller's own.
    pub(crate) data: u64,
}

/// Collects the queues that an item must observe.
struct Registration {
    target: Arc<dyn WakeTarget>,
    /// What it listens for.
    wanted: Events,
    queues: Vec<Arc<WaitQueue>>,
    failed: bool,
}

impl Watch for Registration {
    fn add(&mut self, queue: &Arc<WaitQueue>) {
        let added =
            self.queues.try_reserve(1).is_ok() && queue.observe(Arc::clone(&self.target)).is_ok();
        match added {
            true => self.queues.push(Arc::clone(queue)),
            false => self.failed = true,
        }
    }

    fn add_for(&mut self, queue: &Arc<WaitQueue>, events: Events) {
        // Errors and the end are told by every queue: one is enough for who wants nothing else.
        if self.wanted.intersects(events) || self.wanted.is_empty() {
            self.add(queue);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        for queue in &self.queues {
            queue.forget(&self.target);
        }
    }
}

/// The events that an interest listens for, errors and ends aside.
fn listens_for(interest: Interest) -> Events {
    Events::from_bits_truncate(interest.events & !MODES) - Events::ERR - Events::HUP
}

/// Lets an item observe its file's queues; the file's state.
fn register(item: &Arc<Item>, file: &Arc<File>) -> Result<(Registration, Events), Errno> {
    let mut registration = Registration {
        target: Arc::<Item>::clone(item),
        wanted: listens_for(item.interest()),
        queues: Vec::new(),
        failed: false,
    };
    let state = item.state(file, Some(&mut registration));
    if registration.failed {
        return Err(Errno::ENOMEM);
    }
    Ok((registration, state))
}

/// An item with its registration; dropping it ends the watch.
struct Entry {
    item: Arc<Item>,
    registration: Registration,
}

/// What is watched, by descriptor and file, as Linux tells it apart. Entries of files that are gone lie
/// here until they are as many as those that were left by the last look for them: looking at each
/// addition would make many additions slow.
#[derive(Default)]
struct Entries {
    map: BTreeMap<(i32, u64), Entry>,
    sweep_at: usize,
}

impl Entries {
    fn sweep(&mut self) {
        if self.map.len() >= self.sweep_at {
            self.map
                .retain(|_, entry| entry.item.file.strong_count() > 0);
            self.sweep_at = (2 * self.map.len()).max(16);
        }
    }
}

/// An epoll file's own part.
pub(crate) struct Epoll {
    entries: Mutex<Entries>,
    ready: Arc<Ready>,
}

/// A new epoll file; `flags` are `EPOLL_CLOEXEC` or none.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn create(flags: u32) -> Result<Arc<File>, Errno> {
    let ready = Ready {
        list: IrqLock::new(List::default()),
        queue: try_arc(WaitQueue::new())?,
        nest: Nest::default(),
    };
    let epoll = Epoll {
        entries: Mutex::new(Entries::default()),
        ready: try_arc(ready)?,
    };
    event_file(b"[eventpoll]", try_arc(epoll)?, flags)
}

/// The epoll behind a file.
///
/// # Errors
/// `EINVAL` when it isn't one.
#[inline]
pub(crate) fn of(file: &File) -> Result<&Epoll, Errno> {
    file.ops_as().ok_or(Errno::EINVAL)
}

impl Epoll {
    /// Watches one more file.
    ///
    /// # Errors
    /// `EEXIST` when it is watched already; `EPERM` for files that can't be polled; `ELOOP` for
    /// epoll files in a ring or too deep; `ENOMEM`.
    pub(crate) fn add(&self, fd: i32, file: &Arc<File>, interest: Interest) -> Result<(), Errno> {
        if !file.ops.can_poll() {
            return Err(Errno::EPERM);
        }
        let Ok(inner) = of(file) else {
            return self.add_item(fd, file, interest);
        };
        let _held = nest::link(&self.ready, &inner.ready)?;
        let added = self.add_item(fd, file, interest);
        if added.is_err() {
            nest::unlink(&self.ready, &inner.ready);
        }
        added
    }

    fn add_item(&self, fd: i32, file: &Arc<File>, interest: Interest) -> Result<(), Errno> {
        let mut entries = self.entries.lock();
        entries.sweep();
        let key = (fd, file.id());
        if entries.map.contains_key(&key) {
            return Err(Errno::EEXIST);
        }
        let _charge = kmem::charge(2 * size_of::<Entry>() + 4 * size_of::<Arc<Item>>())?;
        self.ready.reserve(entries.map.len())?;
        let item = try_arc(Item::new(file, interest, &self.ready))?;
        let (registration, state) = register(&item, file)?;
        if !state.is_empty() {
            self.ready.push(&item);
        }
        entries.map.insert(key, Entry { item, registration });
        Ok(())
    }

    /// Changes what is wanted of a file.
    ///
    /// # Errors
    /// `ENOENT` when it isn't watched; `EINVAL` where `EPOLLEXCLUSIVE` is involved.
    pub(crate) fn modify(
        &self,
        fd: i32,
        file: &Arc<File>,
        interest: Interest,
    ) -> Result<(), Errno> {
        let mut entries = self.entries.lock();
        let entry = entries.map.get_mut(&(fd, file.id())).ok_or(Errno::ENOENT)?;
        if (entry.item.interest().events | interest.events) & abi::EPOLLEXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
        entry.item.set_interest(interest);
        if !entry.registration.wanted.contains(listens_for(interest)) {
            entry.registration = register(&entry.item, file)?.0;
        }
        if !entry.item.state(file, None).is_empty() {
            self.ready.push(&entry.item);
        }
        Ok(())
    }

    /// Ends the watch on a file.
    ///
    /// # Errors
    /// `ENOENT` when it isn't watched.
    pub(crate) fn remove(&self, fd: i32, file: &Arc<File>) -> Result<(), Errno> {
        let mut entries = self.entries.lock();
        let entry = entries.map.remove(&(fd, file.id())).ok_or(Errno::ENOENT)?;
        // It may stand in the ready list still.
        entry.item.switch_off();
        drop(entries);
        drop(entry);
        if let Ok(inner) = of(file) {
            nest::unlink(&self.ready, &inner.ready);
        }
        Ok(())
    }

    /// Of the files that are watched under a descriptor the one that has `skip` of them before it.
    ///
    /// # Errors
    /// `ENOENT` when there is none.
    pub(crate) fn target(&self, fd: i32, skip: usize) -> Result<Arc<File>, Errno> {
        let entries = self.entries.lock();
        let of_fd = entries
            .map
            .iter()
            .filter(|((watched, _), _)| *watched == fd);
        let mut files = of_fd.filter_map(|(_, entry)| entry.item.file.upgrade());
        files.nth(skip).ok_or(Errno::ENOENT)
    }

    /// Takes up to `max` ready files off the list and hands them to `emit`.
    ///
    /// # Errors
    /// Those of `emit`, when nothing was handed over before.
    pub(crate) fn collect(
        &self,
        max: usize,
        mut emit: impl FnMut(usize, Interest) -> Result<(), Errno>,
    ) -> Result<usize, Errno> {
        let (mut count, mut left) = (0, None);
        while count < max
            && let Some(item) = self.ready.next(&mut left)
        {
            match item.tell(|interest| emit(count, interest)) {
                Ok(told) => count += usize::from(told),
                Err(errno) => {
                    self.ready.push(&item);
                    return if count > 0 { Ok(count) } else { Err(errno) };
                }
            }
        }
        Ok(count)
    }

    /// The queue by which readiness is told.
    pub(crate) fn queue(&self) -> &Arc<WaitQueue> {
        &self.ready.queue
    }

    /// Whether some file may be ready.
    pub(crate) fn has_candidates(&self) -> bool {
        !self.ready.list.lock().items.is_empty()
    }

    /// Whether a watched file is ready, without taking it off the list.
    fn is_ready(&self) -> bool {
        let waiting = self.ready.list.lock().items.len();
        for _ in 0..waiting {
            let Some(item) = self.ready.list.lock().pop() else {
                return false;
            };
            let ready = item
                .file
                .upgrade()
                .is_some_and(|file| !item.state(&file, None).is_empty());
            if ready {
                self.ready.list.lock().push(&item);
                return true;
            }
        }
        false
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        // Items hold the list that holds them.
        let mut entries = self.entries.lock();
        for entry in entries.map.values() {
            entry.item.switch_off();
        }
        entries.map.clear();
        let items = core::mem::take(&mut *self.ready.list.lock());
        drop(items);
    }
}

impl FileOps for Epoll {
    fn ioctl(&self, _: &File, _: &Ioctl<'_>) -> Result<u64, Errno> {
        Err(Errno::EINVAL)
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn ignores_seek(&self) -> bool {
        true
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn Watch>) -> Events {
        if let Some(watch) = watch {
            watch.add(&self.ready.queue);
        }
        if self.is_ready() {
            Events::READABLE
        } else {
            Events::empty()
        }
    }
}
