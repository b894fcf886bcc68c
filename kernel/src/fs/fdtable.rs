//! [`FdTable`]: the descriptors of a process, shared by `CLONE_FILES`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::errno::Errno;
use kiln_core::num::usize_of32;

use super::file::File;
use super::memory::try_arc;
use crate::sync::SpinLock;

/// Most descriptors a process can ever have (`/proc/sys/fs/nr_open`).
pub(crate) const NR_OPEN: usize = 1 << 20;

/// A descriptor in use.
struct Slot {
    file: Arc<File>,
    close_on_exec: bool,
}

/// The descriptors of a process.
pub(crate) struct FdTable {
    slots: SpinLock<Slots>,
    id: u64,
}

#[derive(Default)]
struct Slots {
    list: Vec<Option<Slot>>,
    /// No descriptor below this is free.
    lowest_free: usize,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl FdTable {
    /// How many descriptors Linux's table would have room for (`alloc_fdtable`).
    pub(crate) fn shown_size(&self) -> usize {
        match self.slots.lock().list.len() {
            0..=64 => 64,
            len => (len.div_ceil(128)).next_power_of_two() * 128,
        }
    }
}

impl Slots {
    #[inline]
    fn get(&self, fd: usize) -> Result<&Slot, Errno> {
        self.list
            .get(fd)
            .and_then(Option::as_ref)
            .ok_or(Errno::EBADF)
    }

    fn get_mut(&mut self, fd: usize) -> Result<&mut Slot, Errno> {
        self.list
            .get_mut(fd)
            .and_then(Option::as_mut)
            .ok_or(Errno::EBADF)
    }

    /// The lowest free descriptor from `from` on, with room made for it.
    fn free_from(&mut self, from: usize, limit: usize) -> Result<usize, Errno> {
        let start = from.max(self.lowest_free);
        let taken = self
            .list
            .iter()
            .skip(start)
            .take_while(|slot| slot.is_some());
        let fd = start + taken.count();
        if fd >= limit.min(NR_OPEN) {
            return Err(Errno::EMFILE);
        }
        self.grow(fd)?;
        Ok(fd)
    }

    fn grow(&mut self, fd: usize) -> Result<(), Errno> {
        if fd >= self.list.len() {
            let more = fd + 1 - self.list.len();
            self.list.try_reserve(more).map_err(|_| Errno::ENOMEM)?;
            self.list.resize_with(fd + 1, || None);
        }
        Ok(())
    }

    fn put(&mut self, fd: usize, slot: Slot) -> Option<Slot> {
        if fd == self.lowest_free {
            self.lowest_free = fd + 1;
        }
        self.list.get_mut(fd).and_then(|place| place.replace(slot))
    }

    fn take(&mut self, fd: usize) -> Option<Slot> {
        let slot = self.list.get_mut(fd)?.take()?;
        self.lowest_free = self.lowest_free.min(fd);
        Some(slot)
    }
}

/// A descriptor's index; EBADF for a negative one.
fn index(fd: i32) -> Result<usize, Errno> {
    u32::try_from(fd).map(usize_of32).map_err(|_| Errno::EBADF)
}

fn number(fd: usize) -> Result<i32, Errno> {
    i32::try_from(fd).map_err(|_| Errno::EMFILE)
}

impl FdTable {
    /// No descriptor open.
    pub(crate) fn new() -> Result<Arc<Self>, Errno> {
        Self::with(Slots::default())
    }

    fn with(slots: Slots) -> Result<Arc<Self>, Errno> {
        try_arc(Self {
            slots: SpinLock::new(slots),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// A number that no other table, nor any open file, ever has: the owner of POSIX locks. Open
    /// files' numbers count as owners too, so tables' are told apart by the top bit.
    pub(crate) fn lock_owner(&self) -> u64 {
        self.id | 1 << 63
    }

    /// Whether this owner of locks is a table, and not an open file.
    pub(super) fn is_lock_owner(owner: u64) -> bool {
        owner >> 63 != 0
    }

    /// A copy for a child that doesn't share it.
    pub(crate) fn fork(&self) -> Result<Arc<Self>, Errno> {
        let mut list: Vec<Option<Slot>> = Vec::new();
        loop {
            let wanted = self.slots.lock().list.len();
            list.try_reserve_exact(wanted).map_err(|_| Errno::ENOMEM)?;
            let slots = self.slots.lock();
            if slots.list.len() > list.capacity() {
                continue;
            }
            list.extend(slots.list.iter().map(|slot| {
                slot.as_ref().map(|slot| Slot {
                    file: Arc::clone(&slot.file),
                    close_on_exec: slot.close_on_exec,
                })
            }));
            let lowest_free = slots.lowest_free;
            drop(slots);
            return Self::with(Slots { list, lowest_free });
        }
    }

    /// The open file behind `fd`, `O_PATH` ones too.
    pub(crate) fn get_any(&self, fd: i32) -> Result<Arc<File>, Errno> {
        let fd = index(fd)?;
        self.slots.lock().get(fd).map(|slot| Arc::clone(&slot.file))
    }

    /// The open file behind `fd`; EBADF for one opened with `O_PATH`.
    pub(crate) fn get(&self, fd: i32) -> Result<Arc<File>, Errno> {
        let fd = index(fd)?;
        let slots = self.slots.lock();
        let slot = slots.get(fd)?;
        if slot.file.is_path() {
            return Err(Errno::EBADF);
        }
        Ok(Arc::clone(&slot.file))
    }

    /// Puts `file` behind the lowest free descriptor from `from` on, below `limit`.
    pub(crate) fn install_from(
        &self,
        file: Arc<File>,
        close_on_exec: bool,
        from: usize,
        limit: usize,
    ) -> Result<i32, Errno> {
        let mut slots = self.slots.lock();
        let fd = slots.free_from(from, limit)?;
        let displaced = slots.put(
            fd,
            Slot {
                file,
                close_on_exec,
            },
        );
        drop(slots);
        drop(displaced);
        number(fd)
    }

    /// Puts `file` behind the lowest free descriptor.
    pub(crate) fn install(
        &self,
        file: Arc<File>,
        close_on_exec: bool,
        limit: usize,
    ) -> Result<i32, Errno> {
        self.install_from(file, close_on_exec, 0, limit)
    }

    /// Puts `file` behind `fd`; what was there is closed.
    pub(crate) fn replace(
        &self,
        fd: i32,
        file: Arc<File>,
        close_on_exec: bool,
        limit: usize,
    ) -> Result<i32, Errno> {
        let at = index(fd)?;
        if at >= limit.min(NR_OPEN) {
            return Err(Errno::EBADF);
        }
        let mut slots = self.slots.lock();
        slots.grow(at)?;
        let displaced = slots.put(
            at,
            Slot {
                file,
                close_on_exec,
            },
        );
        drop(slots);
        if let Some(old) = displaced {
            let _ = self.finish(old);
        }
        Ok(fd)
    }

    /// Closes `fd`; the error is that of the file's last writing.
    pub(crate) fn close(&self, fd: i32) -> Result<(), Errno> {
        let taken = self.slots.lock().take(index(fd)?);
        self.finish(taken.ok_or(Errno::EBADF)?)
    }

    /// What closing any descriptor of a file does; nothing, where it stands for a path only.
    fn finish(&self, slot: Slot) -> Result<(), Errno> {
        let file = slot.file;
        if file.is_path() {
            return Ok(());
        }
        if let Some(locks) = file.inode.existing_locks() {
            locks.release_owner(self.lock_owner());
        }
        super::dnotify::close(&file, self.lock_owner());
        file.ops.flush(&file)
    }

    /// Closes every descriptor of `first..=last`, or marks them to be closed on exec.
    pub(crate) fn close_range(&self, first: usize, last: usize, mark_only: bool) {
        let end = self.slots.lock().list.len();
        for fd in first..end.min(last.saturating_add(1)) {
            if mark_only {
                if let Ok(slot) = self.slots.lock().get_mut(fd) {
                    slot.close_on_exec = true;
                }
                continue;
            }
            let taken = self.slots.lock().take(fd);
            if let Some(slot) = taken {
                let _ = self.finish(slot);
            }
        }
    }

    /// Closes what is marked so, as exec does.
    pub(crate) fn close_on_exec(&self) {
        let end = self.slots.lock().list.len();
        for fd in 0..end {
            let mut slots = self.slots.lock();
            let marked = slots.get(fd).is_ok_and(|slot| slot.close_on_exec);
            let taken = if marked { slots.take(fd) } else { None };
            drop(slots);
            if let Some(slot) = taken {
                let _ = self.finish(slot);
            }
        }
    }

    /// Closes everything: the process ends.
    pub(crate) fn close_all(&self) {
        self.close_range(0, usize::MAX, false);
    }

    /// Whether `fd` is closed on exec.
    pub(crate) fn is_close_on_exec(&self, fd: i32) -> Result<bool, Errno> {
        let fd = index(fd)?;
        self.slots.lock().get(fd).map(|slot| slot.close_on_exec)
    }

    /// Says whether `fd` is closed on exec.
    pub(crate) fn set_close_on_exec(&self, fd: i32, on: bool) -> Result<(), Errno> {
        let fd = index(fd)?;
        self.slots.lock().get_mut(fd)?.close_on_exec = on;
        Ok(())
    }

    /// The lowest open descriptor from `fd` on, for `/proc/PID/fd`.
    pub(crate) fn next_open(&self, fd: usize) -> Option<(i32, Arc<File>)> {
        let slots = self.slots.lock();
        let mut rest = slots.list.iter().enumerate().skip(fd);
        let (at, slot) = rest.find_map(|(at, slot)| Some((at, slot.as_ref()?)))?;
        Some((number(at).ok()?, Arc::clone(&slot.file)))
    }
}

impl Drop for FdTable {
    fn drop(&mut self) {
        self.close_all();
    }
}
