//! System V IPC (sysvipc(7)): shared memory ([`shm`]), semaphores ([`sem`]), message queues
//! ([`msg`]). Ids, permissions and the rules of waiting are in `kiln_core::ipc`. Beside it stand POSIX
//! message queues ([`mqueue`]), which are files.
//!
//! An object stands in its kind's [`Table`] until it is removed; who waits in one holds it longer,
//! and finds it marked as removed. Locks, in this order: the table, an object's state, its
//! permissions. All are spin locks that nothing else is called under.

pub(crate) mod mqueue;
pub(crate) mod msg;
pub(crate) mod sem;
pub(crate) mod shm;
mod text;

use alloc::sync::Arc;

use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::ipc::perm::{CREAT, EXCL, PERM_SIZE, PRIVATE};
use kiln_core::ipc::{Ids, Perm};

use crate::fs::clock;
use crate::sync::SpinLock;

pub(super) use text::FILES;

/// The objects of a kind.
pub(super) type Table<T> = SpinLock<Ids<Arc<T>>>;

/// What every kind of object has.
pub(super) trait Object {
    /// Who may use it.
    fn perm(&self) -> &SpinLock<Perm>;
    /// It is in the table, with this id.
    fn entered(&self, id: i32);
}

/// Seconds since 1970.
fn now() -> i64 {
    clock::now().sec
}

/// What shmget(2) and its kin do: finds the object with a key, or makes it. `fits` says whether
/// one that is there will do.
///
/// # Errors
/// `ENOENT`, `EEXIST`, `EACCES`, `ENOSPC`, and those of `fits` and `make`.
fn get<T: Object>(
    table: &Table<T>,
    key: i32,
    flags: u32,
    creds: &Credentials,
    max: usize,
    fits: impl Fn(&T) -> Result<(), Errno>,
    make: impl FnOnce(Perm) -> Result<Arc<T>, Errno>,
) -> Result<i32, Errno> {
    let existing = |ids: &Ids<Arc<T>>| {
        let found = ids.find(|object| key != PRIVATE && object.perm().lock().key == key);
        found.map(|(id, object)| (id, Arc::clone(object)))
    };
    let use_it = |(id, object): (i32, Arc<T>)| {
        if flags & CREAT != 0 && flags & EXCL != 0 {
            return Err(Errno::EEXIST);
        }
        fits(&object)?;
        let perm = *object.perm().lock();
        perm.check(flags, creds)?;
        Ok(id)
    };
    let found = existing(&table.lock());
    if let Some(found) = found {
        return use_it(found);
    }
    if key != PRIVATE && flags & CREAT == 0 {
        return Err(Errno::ENOENT);
    }
    let made = make(Perm::new(key, flags, creds))?;
    let mut ids = table.lock();
    if let Some(found) = existing(&ids) {
        drop(ids);
        return use_it(found);
    }
    ids.insert(max, |id| {
        made.entered(id);
        made
    })
}

/// The object with this id.
fn find<T>(table: &Table<T>, id: i32) -> Result<Arc<T>, Errno> {
    table.lock().get(id).map(Arc::clone)
}

/// The object with this id, for its owner.
fn find_own<T: Object>(table: &Table<T>, id: i32, creds: &Credentials) -> Result<Arc<T>, Errno> {
    let object = find(table, id)?;
    let perm = *object.perm().lock();
    perm.check_owner(creds)?;
    Ok(object)
}

/// The object in a slot, or with an id, whose state may be looked at: `any` is for
/// `SHM_STAT_ANY` and its kin. Answers its id, too.
fn find_to_show<T: Object>(
    table: &Table<T>,
    id: i32,
    by_slot: bool,
    any: bool,
    creds: &Credentials,
) -> Result<(i32, Arc<T>), Errno> {
    let ids = table.lock();
    let (id, object) = if by_slot {
        let (id, object) = ids.in_slot(id)?;
        (id, Arc::clone(object))
    } else {
        (id, Arc::clone(ids.get(id)?))
    };
    drop(ids);
    if !any {
        let perm = *object.perm().lock();
        perm.check(0o444, creds)?;
    }
    Ok((id, object))
}

/// Puts a structure together that begins with permissions: words of eight bytes follow.
fn with_perm<const N: usize>(perm: &Perm, id: i32, words: &[u64]) -> [u8; N] {
    let mut bytes = [0; N];
    if let Some(place) = bytes.get_mut(..PERM_SIZE) {
        place.copy_from_slice(&perm.encode(id));
    }
    put_words(bytes.get_mut(PERM_SIZE..).unwrap_or_default(), words);
    bytes
}

/// Writes words of eight bytes one after the other.
fn put_words(bytes: &mut [u8], words: &[u64]) {
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

/// Two numbers of four bytes in one word.
fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}
