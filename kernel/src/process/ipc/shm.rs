//! System V shared memory (shmget(2), shmat(2), shmctl(2)).
//!
//! A [`Segment`] is the name of its mappings, which tell it when one begins and ends: that is how
//! attachments are counted, and when a segment goes that was removed while attached.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use kiln_core::abi;
use kiln_core::addr::PAGE_SIZE;
use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::ipc::perm::PRIVATE;
use kiln_core::ipc::{Ids, PERM_SIZE, Perm};
use kiln_core::num::{u64_of, usize_of};
use kiln_core::vma::Prot;

use super::{Object, Table};
use crate::fs::memory::try_arc;
use crate::mm::frame;
use crate::process::task;
use crate::sync::SpinLock;
use crate::vm::{AddressSpace, FileMapping, MapName, MapRequest, Mapping};

/// `/proc/sys/kernel/shmmax`: bytes of a segment.
pub(crate) static MAX_SIZE: AtomicU64 = AtomicU64::new(u64::MAX - (1 << 24));
/// `/proc/sys/kernel/shmall`: pages of all.
pub(crate) static MAX_PAGES: AtomicU64 = AtomicU64::new(u64::MAX - (1 << 24));
/// `/proc/sys/kernel/shmmni`: segments.
pub(crate) static MAX_COUNT: AtomicU64 = AtomicU64::new(4096);

/// Flags (linux/shm.h).
const RDONLY: u32 = 0o10000;
const RND: u32 = 0o20000;
const REMAP: u32 = 0o40000;
const EXEC: u32 = 0o100_000;
const HUGETLB: u32 = 0o4000;
const NORESERVE: u32 = 0o10000;
/// Bits of a segment's mode.
const DEST: u32 = 0o1000;
const LOCKED: u32 = 0o2000;

const PAGE: u64 = u64_of(PAGE_SIZE);
/// Bytes of `struct shmid64_ds`, `shminfo64` and `shm_info`.
pub(crate) const DS_SIZE: usize = 112;
const INFO_SIZE: usize = 72;
const USED_SIZE: usize = 48;

/// A segment of shared memory.
pub(crate) struct Segment {
    perm: SpinLock<Perm>,
    id: AtomicI32,
    size: u64,
    mapping: Arc<Mapping>,
    use_: SpinLock<Use>,
    /// Whose `RLIMIT_MEMLOCK` it counts for while it is locked.
    locker: AtomicU32,
}

/// Who used a segment, and when.
#[derive(Clone, Copy)]
pub(super) struct Use {
    pub(super) attached: i64,
    pub(super) detached: i64,
    pub(super) changed: i64,
    pub(super) maker: u32,
    pub(super) last: u32,
    pub(super) count: u64,
}

pub(super) static SEGMENTS: Table<Segment> = SpinLock::new(Ids::new());

impl Object for Segment {
    fn perm(&self) -> &SpinLock<Perm> {
        &self.perm
    }

    fn entered(&self, id: i32) {
        self.id.store(id, Ordering::Relaxed);
    }
}

/// The process that runs.
fn caller() -> u32 {
    task::current().map_or(0, |task| task.pid())
}

impl MapName for Segment {
    fn identity(&self) -> (u64, u64) {
        let id = self.id.load(Ordering::Relaxed);
        (1, u64::from(id.cast_unsigned()))
    }

    fn path(&self, out: &mut Vec<u8>) {
        let key = self.perm.lock().key;
        let mut text = crate::fs::procfs::Text::default();
        if write!(text, "/SYSV{key:08x} (deleted)").is_ok() {
            // A line without a name is better than none.
            let _ = crate::fs::memory::append(out, text.as_bytes());
        }
    }

    fn mapped(&self) {
        let (now, pid) = (super::now(), caller());
        let mut used = self.use_.lock();
        used.count += 1;
        (used.attached, used.last) = (now, pid);
    }

    fn unmapped(&self) {
        let (now, pid) = (super::now(), caller());
        let mut used = self.use_.lock();
        used.count = used.count.saturating_sub(1);
        (used.detached, used.last) = (now, pid);
        let last = used.count == 0;
        drop(used);
        if last && self.perm.lock().mode & DEST != 0 {
            let removed = SEGMENTS.lock().remove(self.id.load(Ordering::Relaxed));
            drop(removed);
        }
    }
}

impl Segment {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn used(&self) -> Use {
        *self.use_.lock()
    }

    pub(super) fn resident(&self) -> u64 {
        self.mapping.content_pages()
    }

    fn is_locked_by(&self, user: u32) -> bool {
        self.perm.lock().mode & LOCKED != 0 && self.locker.load(Ordering::Relaxed) == user
    }

    fn encode(&self, id: i32) -> [u8; DS_SIZE] {
        let (perm, used) = (*self.perm.lock(), self.used());
        let words = [
            self.size,
            used.attached.cast_unsigned(),
            used.detached.cast_unsigned(),
            used.changed.cast_unsigned(),
            super::pair(used.maker, used.last),
            used.count,
        ];
        super::with_perm(&perm, id, &words)
    }
}

/// shmget(2).
///
/// # Errors
/// As there.
pub(crate) fn get(key: i32, size: u64, flags: u32, creds: &Credentials) -> Result<i32, Errno> {
    let max = usize_of(MAX_COUNT.load(Ordering::Relaxed));
    let fits = |segment: &Segment| {
        if segment.size < size {
            return Err(Errno::EINVAL);
        }
        Ok(())
    };
    super::get(&SEGMENTS, key, flags, creds, max, fits, |perm| {
        make(size, flags, perm)
    })
}

fn make(size: u64, flags: u32, perm: Perm) -> Result<Arc<Segment>, Errno> {
    if size == 0 || size > MAX_SIZE.load(Ordering::Relaxed) {
        return Err(Errno::EINVAL);
    }
    let pages = size.div_ceil(PAGE);
    if total_pages(None).saturating_add(pages) > MAX_PAGES.load(Ordering::Relaxed) {
        return Err(Errno::ENOSPC);
    }
    // There are no huge pages in reserve, and what nobody could ever use isn't promised.
    let too_much = flags & NORESERVE == 0 && pages > u64_of(frame::stats().total);
    if flags & HUGETLB != 0 || too_much || size > i64::MAX.cast_unsigned() {
        return Err(Errno::ENOMEM);
    }
    try_arc(Segment {
        perm: SpinLock::new(perm),
        id: AtomicI32::new(-1),
        size,
        mapping: Mapping::new(None, pages * PAGE)?,
        use_: SpinLock::new(Use {
            attached: 0,
            detached: 0,
            changed: super::now(),
            maker: caller(),
            last: 0,
            count: 0,
        }),
        locker: AtomicU32::new(0),
    })
}

/// Pages of all segments, or of those that a user has locked.
#[inline(never)]
fn total_pages(locker: Option<u32>) -> u64 {
    pages_in(&SEGMENTS.lock(), locker)
}

fn pages_in(ids: &Ids<Arc<Segment>>, locker: Option<u32>) -> u64 {
    let (mut at, mut total) = (0, 0u64);
    while let Some((slot, _, segment)) = ids.next(at) {
        if locker.is_none_or(|user| segment.is_locked_by(user)) {
            total = total.saturating_add(segment.size.div_ceil(PAGE));
        }
        at = slot + 1;
    }
    total
}

/// shmat(2): answers the address.
///
/// # Errors
/// As there.
pub(crate) fn attach(
    space: &Arc<AddressSpace>,
    id: i32,
    addr: u64,
    flags: u32,
    creds: &Credentials,
) -> Result<u64, Errno> {
    if id < 0 {
        return Err(Errno::EINVAL);
    }
    let addr = place(addr, flags)?;
    let (mut prot, mut access) = (Prot::READ, 0o444);
    if flags & RDONLY == 0 {
        prot |= Prot::WRITE;
        access |= 0o222;
    }
    if flags & EXEC != 0 {
        prot |= Prot::EXEC;
        access |= 0o111;
    }
    let segment = super::find(&SEGMENTS, id)?;
    let perm = *segment.perm.lock();
    perm.check(access, creds)?;
    let how = match (addr, flags & REMAP) {
        (0, _) => 0,
        (_, 0) => abi::MAP_FIXED_NOREPLACE,
        _ => abi::MAP_FIXED,
    };
    let request = MapRequest {
        addr,
        len: segment.size,
        prot,
        flags: abi::MAP_SHARED | how,
        file: Some(FileMapping {
            mapping: Ok(Some(Arc::clone(&segment.mapping))),
            name: Some(segment),
            readable: true,
            writable: flags & RDONLY == 0,
            no_exec: false,
        }),
        offset: 0,
        low: creds.has(abi::CAP_SYS_RAWIO),
    };
    match space.mmap(request) {
        Err(Errno::EEXIST) => Err(Errno::EINVAL),
        result => result.map(|at| at.raw()),
    }
}

/// Where a segment is to be attached; 0 for anywhere.
fn place(addr: u64, flags: u32) -> Result<u64, Errno> {
    let rounded = addr - addr % PAGE;
    if addr == 0 {
        return if flags & REMAP != 0 {
            Err(Errno::EINVAL)
        } else {
            Ok(0)
        };
    }
    if addr != rounded && flags & RND == 0 || rounded == 0 && flags & REMAP != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(rounded)
}

/// shmdt(2).
///
/// # Errors
/// `EINVAL` when no segment is attached there.
pub(crate) fn detach(space: &Arc<AddressSpace>, addr: u64) -> Result<(), Errno> {
    if !addr.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let name = space.mapped_name(addr, 0).ok_or(Errno::EINVAL)?;
    let own = |segment: &Arc<Segment>| core::ptr::addr_eq(Arc::as_ptr(segment), Arc::as_ptr(&name));
    let found = SEGMENTS.lock().find(own).map(|(_, segment)| segment.size);
    let size = found.ok_or(Errno::EINVAL)?;
    // What was mapped over parts of it stays.
    let end = addr.saturating_add(size.next_multiple_of(PAGE));
    let mut at = addr;
    while at < end {
        let part = space.mapped_part(at, end, &name).ok_or(Errno::EINVAL);
        let Ok(part) = part else { break };
        space.munmap(part.start, part.end - part.start)?;
        at = part.end;
    }
    Ok(())
}

/// What shmctl(2) answers: a number, and a structure to copy out.
pub(crate) enum Answer {
    /// Nothing more.
    Number(i32),
    /// `struct shmid_ds`.
    Segment(i32, [u8; DS_SIZE]),
    /// `struct shminfo`.
    Limits(i32, [u8; INFO_SIZE]),
    /// `struct shm_info`.
    Used(i32, [u8; USED_SIZE]),
}

fn highest() -> i32 {
    i32::try_from(SEGMENTS.lock().highest()).unwrap_or(0)
}

/// `IPC_INFO`.
pub(crate) fn limits() -> Answer {
    let [most, pages, count] =
        [&MAX_SIZE, &MAX_PAGES, &MAX_COUNT].map(|it| it.load(Ordering::Relaxed));
    let mut bytes = [0; INFO_SIZE];
    super::put_words(&mut bytes, &[most, 1, count, count, pages]);
    Answer::Limits(highest(), bytes)
}

/// `SHM_INFO`.
pub(crate) fn in_use() -> Answer {
    let ids = SEGMENTS.lock();
    let count = u64_of(ids.len());
    let (mut at, mut resident) = (0, 0);
    while let Some((slot, _, segment)) = ids.next(at) {
        resident += segment.resident();
        at = slot + 1;
    }
    drop(ids);
    let mut bytes = [0; USED_SIZE];
    super::put_words(&mut bytes, &[count, total_pages(None), resident]);
    Answer::Used(highest(), bytes)
}

/// `IPC_STAT` and, by slot, `SHM_STAT` and `SHM_STAT_ANY`.
pub(crate) fn stat(
    id: i32,
    by_slot: bool,
    any: bool,
    creds: &Credentials,
) -> Result<Answer, Errno> {
    let (id, segment) = super::find_to_show(&SEGMENTS, id, by_slot, any, creds)?;
    let answer = if by_slot { id } else { 0 };
    Ok(Answer::Segment(answer, segment.encode(id)))
}

/// `IPC_SET`.
pub(crate) fn set(id: i32, new: &[u8; PERM_SIZE], creds: &Credentials) -> Result<Answer, Errno> {
    let segment = super::find_own(&SEGMENTS, id, creds)?;
    segment.perm.lock().set(new)?;
    segment.use_.lock().changed = super::now();
    Ok(Answer::Number(0))
}

/// `IPC_RMID`: the segment goes when nobody has it attached.
pub(crate) fn remove(id: i32, creds: &Credentials) -> Result<Answer, Errno> {
    let segment = super::find_own(&SEGMENTS, id, creds)?;
    let mut perm = segment.perm.lock();
    perm.mode |= DEST;
    perm.key = PRIVATE;
    drop(perm);
    let idle = segment.use_.lock().count == 0;
    if idle {
        let removed = SEGMENTS.lock().remove(id);
        drop(removed);
    }
    Ok(Answer::Number(0))
}

/// `SHM_LOCK` and `SHM_UNLOCK`: there is no swap, so the mark is all, up to `limit` bytes of each user's.
pub(crate) fn lock(id: i32, on: bool, creds: &Credentials, limit: u64) -> Result<Answer, Errno> {
    let segment = super::find(&SEGMENTS, id)?;
    let (user, privileged) = (creds.uids.effective, creds.has(abi::CAP_IPC_LOCK));
    let owned = {
        let perm = segment.perm.lock();
        user == perm.uid || user == perm.cuid
    };
    if !privileged && (!owned || on && limit == 0) {
        return Err(Errno::EPERM);
    }
    let user = creds.uids.real;
    // The sum and the mark are one step: two can't both find the last room.
    let segments = SEGMENTS.lock();
    let locked = pages_in(&segments, Some(user));
    let mut perm = segment.perm.lock();
    if on && perm.mode & LOCKED == 0 {
        let fits = locked + segment.size.div_ceil(PAGE) <= limit / PAGE;
        if !privileged && !fits {
            return Err(Errno::ENOMEM);
        }
        segment.locker.store(user, Ordering::Relaxed);
    }
    perm.mode = perm.mode & !LOCKED | if on { LOCKED } else { 0 };
    Ok(Answer::Number(0))
}
