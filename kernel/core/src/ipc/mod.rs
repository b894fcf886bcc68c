//! System V IPC: identifiers ([`Ids`]), permissions ([`Perm`]), semaphores ([`sem`]) and message
//! queues ([`msg`]), as sysvipc(7) says. Shared memory needs pages, so it is the kernel's own. POSIX
//! message queues ([`posix`]) have nothing in common with those but the purpose.

pub mod msg;
pub mod perm;
pub mod posix;
pub mod sem;

use alloc::vec::Vec;

use crate::errno::Errno;
use crate::num::usize_of;

pub use perm::{PERM_SIZE, Perm};

/// Most objects of a kind (`IPCMNI`, linux/ipc_namespace.h): an id's low bits are its slot.
pub const MAX_OBJECTS: usize = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 15;
/// Sequence numbers begin anew after this.
const MAX_SEQUENCE: u32 = (i32::MAX >> SLOT_BITS).cast_unsigned();

/// Objects by id. An id is a slot and, above it, a number that grows when slots are used anew, so
/// that an old id doesn't reach a new object.
#[derive(Debug)]
pub struct Ids<T> {
    slots: Vec<Option<(u32, T)>>,
    sequence: u32,
    last: Option<usize>,
    count: usize,
}

impl<T> Default for Ids<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The id of a slot.
fn id_of(slot: usize, sequence: u32) -> i32 {
    let slot = u32::try_from(slot).unwrap_or(0);
    (sequence << SLOT_BITS | slot).cast_signed()
}

/// The slot and sequence number of an id.
fn split(id: i32) -> Result<(usize, u32), Errno> {
    let id = u32::try_from(id).map_err(|_| Errno::EINVAL)?;
    let slot = usize_of(u64::from(id)) & (MAX_OBJECTS - 1);
    Ok((slot, id >> SLOT_BITS))
}

impl<T> Ids<T> {
    /// No objects.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            sequence: 0,
            last: None,
            count: 0,
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The highest slot in use, as `IPC_INFO` and its kin answer; 0 when there is none.
    #[must_use]
    pub fn highest(&self) -> usize {
        self.slots.iter().rposition(Option::is_some).unwrap_or(0)
    }

    /// Adds the object that `make` makes for its id.
    ///
    /// # Errors
    /// `ENOSPC` beyond `max` objects, `ENOMEM`.
    pub fn insert(&mut self, max: usize, make: impl FnOnce(i32) -> T) -> Result<i32, Errno> {
        if self.count >= max.min(MAX_OBJECTS) {
            return Err(Errno::ENOSPC);
        }
        let free = self.slots.iter().position(Option::is_none);
        let slot = free.unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            self.slots.push(None);
        }
        if self.last.is_some_and(|last| slot <= last) {
            self.sequence = if self.sequence >= MAX_SEQUENCE {
                0
            } else {
                self.sequence + 1
            };
        }
        self.last = Some(slot);
        let id = id_of(slot, self.sequence);
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some((self.sequence, make(id)));
            self.count += 1;
        }
        Ok(id)
    }

    /// The object with this id.
    ///
    /// # Errors
    /// `EINVAL` when its slot is free, `EIDRM` when another object is there by now.
    pub fn get(&self, id: i32) -> Result<&T, Errno> {
        let (slot, wanted) = split(id)?;
        let place = self.slots.get(slot).and_then(Option::as_ref);
        let (sequence, object) = place.ok_or(Errno::EINVAL)?;
        if *sequence != wanted {
            return Err(Errno::EIDRM);
        }
        Ok(object)
    }

    /// The object in a slot with its id, as `SHM_STAT` and its kin look (the upper bits of `slot`
    /// don't count).
    ///
    /// # Errors
    /// `EINVAL` when the slot is free.
    pub fn in_slot(&self, slot: i32) -> Result<(i32, &T), Errno> {
        let (slot, _) = split(slot)?;
        let place = self.slots.get(slot).and_then(Option::as_ref);
        let (sequence, object) = place.ok_or(Errno::EINVAL)?;
        Ok((id_of(slot, *sequence), object))
    }

    /// The first object in slot `from` or above: its slot, id and itself.
    #[must_use]
    pub fn next(&self, from: usize) -> Option<(usize, i32, &T)> {
        let mut rest = self.slots.iter().enumerate().skip(from);
        rest.find_map(|(slot, place)| {
            let (sequence, object) = place.as_ref()?;
            Some((slot, id_of(slot, *sequence), object))
        })
    }

    /// The first object that is so, with its id.
    pub fn find(&self, mut is: impl FnMut(&T) -> bool) -> Option<(i32, &T)> {
        let mut all = self.slots.iter().enumerate();
        all.find_map(|(slot, place)| {
            let (sequence, object) = place.as_ref()?;
            is(object).then(|| (id_of(slot, *sequence), object))
        })
    }

    /// Takes an object out.
    pub fn remove(&mut self, id: i32) -> Option<T> {
        let (slot, wanted) = split(id).ok()?;
        let place = self.slots.get_mut(slot)?;
        if place.as_ref()?.0 != wanted {
            return None;
        }
        self.count -= 1;
        place.take().map(|(_, object)| object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_id_never_reaches_a_new_object() {
        let mut ids = Ids::new();
        assert_eq!(ids.insert(10, |_| 'a'), Ok(0));
        assert_eq!(ids.insert(10, |_| 'b'), Ok(1));
        assert_eq!(ids.remove(0), Some('a'));
        assert_eq!(ids.get(0), Err(Errno::EINVAL));
        assert_eq!(ids.insert(10, |_| 'c'), Ok(1 << 15));
        assert_eq!(ids.get(0), Err(Errno::EIDRM));
        assert_eq!(ids.get(1 << 15), Ok(&'c'));
        assert_eq!(ids.in_slot(0), Ok((1 << 15, &'c')));
        assert_eq!(ids.get(-1), Err(Errno::EINVAL));
        assert_eq!(ids.highest(), 1);
        assert_eq!(ids.next(1), Some((1, 1, &'b')));
        assert_eq!(ids.find(|c| *c == 'c'), Some((1 << 15, &'c')));
    }

    #[test]
    fn the_number_of_objects_is_limited() {
        let mut ids = Ids::new();
        assert_eq!(ids.insert(1, |id| id), Ok(0));
        assert_eq!(ids.insert(1, |id| id), Err(Errno::ENOSPC));
        assert_eq!(ids.len(), 1);
        assert_eq!(ids.remove(0), Some(0));
        assert!(ids.is_empty());
        assert_eq!(ids.remove(0), None);
    }

    #[test]
    fn sequence_numbers_begin_anew() {
        let mut ids = Ids::new();
        let mut id = ids.insert(1, |_| ()).unwrap();
        for _ in 0..=MAX_SEQUENCE {
            ids.remove(id).unwrap();
            id = ids.insert(1, |_| ()).unwrap();
            assert!(id >= 0);
        }
        assert_eq!(id, 0);
    }
}
