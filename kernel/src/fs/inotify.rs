//! inotify(7): watches on inodes, and the files that their events are read from.
//!
//! A [`Group`] is such a file. Its table holds each [`Watch`] with the watched inode; the inode
//! lists its watches, too, and keeps the union of what they want where [`super::notify`] looks
//! first. A group's lock is a leaf; nobody holds it and an inode's list at once.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::inotify::{Event, KNOWN, Queue};
use kiln_core::num::{low32, usize_of};
use linux_raw_sys::ioctl::FIONREAD;

use super::anon::event_file_for;
use super::fasync::AsyncList;
use super::file::{Events, File, FileOps, Ioctl, Watch as PollWatch};
use super::inode::Inode;
use super::memory::{try_arc, try_copy, try_push};
use super::notify;
use super::superblock::SuperBlock;
use crate::mm::kmem;
use crate::sched::{Mode, Mutex, WaitQueue};
use crate::sync::SpinLock;
use crate::vm::IoDst;

/// `/proc/sys/fs/inotify/max_queued_events`.
pub(crate) static MAX_QUEUED: AtomicU64 = AtomicU64::new(16384);
/// `/proc/sys/fs/inotify/max_user_instances`.
pub(crate) static MAX_INSTANCES: AtomicU64 = AtomicU64::new(128);
/// `/proc/sys/fs/inotify/max_user_watches`.
pub(crate) static MAX_WATCHES: AtomicU64 = AtomicU64::new(8192);

static INSTANCES: AtomicUsize = AtomicUsize::new(0);
static WATCHES: AtomicUsize = AtomicUsize::new(0);
/// Every group, for unmounting.
static GROUPS: SpinLock<Vec<Weak<Group>>> = SpinLock::new(Vec::new());

/// What a `BTreeMap` may need to take one more watch.
const TREE_NODES: usize = 1024;

/// One group's interest in one inode.
pub(super) struct Watch {
    group: Weak<Group>,
    number: i32,
    /// `IN_*`: events, and `IN_ONESHOT`, `IN_EXCL_UNLINK`.
    mask: AtomicU32,
}

/// What an inotify file keeps.
pub(crate) struct Group {
    state: SpinLock<State>,
    queue: Arc<WaitQueue>,
    /// Who is told of events by signals.
    signals: AsyncList,
    /// Serialises adding, so that an inode has one watch of a group at most.
    adding: Mutex<()>,
}

struct State {
    events: Queue,
    watches: BTreeMap<i32, (Arc<Watch>, Arc<Inode>)>,
    last: i32,
}

/// What a watch is told.
pub(super) struct Seen<'a> {
    /// `IN_*`.
    pub(super) mask: u32,
    /// Of what in the directory; empty for the inode itself.
    pub(super) name: &'a [u8],
    /// Of a rename.
    pub(super) cookie: u32,
    /// The name is gone (`IN_EXCL_UNLINK`).
    pub(super) unlinked: bool,
}

impl Seen<'_> {
    /// Of the inode itself.
    pub(super) fn own(mask: u32) -> Self {
        Self {
            mask,
            name: b"",
            cookie: 0,
            unlinked: false,
        }
    }
}

/// A new inotify file; `flags` are `IN_CLOEXEC` and `IN_NONBLOCK`.
///
/// # Errors
/// `EINVAL` for unknown flags, `EMFILE` beyond the limit, `ENOMEM`.
pub(crate) fn create(flags: u32) -> Result<Arc<File>, Errno> {
    if flags & !(abi::O_CLOEXEC | abi::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let group = try_arc(Group {
        state: SpinLock::new(State {
            events: Queue::default(),
            watches: BTreeMap::new(),
            last: 0,
        }),
        queue: try_arc(WaitQueue::new())?,
        signals: AsyncList::new(),
        adding: Mutex::new(()),
    });
    // Counted from here on, as dropping it counts it off.
    let before = INSTANCES.fetch_add(1, Ordering::Relaxed);
    let group = group.inspect_err(|_| {
        INSTANCES.fetch_sub(1, Ordering::Relaxed);
    })?;
    if before >= usize_of(MAX_INSTANCES.load(Ordering::Relaxed)) {
        return Err(Errno::EMFILE);
    }
    let mut groups = GROUPS.lock();
    groups.retain(|group| group.strong_count() > 0);
    try_push(&mut groups, Arc::downgrade(&group))?;
    drop(groups);
    event_file_for(abi::O_RDONLY, b"inotify", group, flags)
}

/// The group behind a file.
///
/// # Errors
/// `EINVAL` when it isn't an inotify file.
pub(crate) fn of(file: &File) -> Result<&Group, Errno> {
    file.ops_as().ok_or(Errno::EINVAL)
}

/// Checks a mask before anything is looked up.
///
/// # Errors
/// `EINVAL`.
pub(crate) fn check_mask(mask: u32) -> Result<(), Errno> {
    if mask & !KNOWN != 0 || mask & KNOWN == 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

impl Group {
    /// Watches an inode, or changes the watch on it.
    ///
    /// # Errors
    /// `EINVAL`, `EEXIST` with `IN_MASK_CREATE`, `ENOSPC` beyond the limit, `ENOMEM`.
    pub(crate) fn add(&self, inode: &Arc<Inode>, mask: u32) -> Result<i32, Errno> {
        const KEPT: u32 = abi::IN_ALL_EVENTS | abi::IN_ONESHOT | abi::IN_EXCL_UNLINK;
        let _adding = self.adding.lock();
        let wanted = mask & KEPT | abi::IN_UNMOUNT;
        if let Some(watch) = inode.find_watch(|watch| self.owns(watch)) {
            if mask & abi::IN_MASK_CREATE != 0 {
                return Err(Errno::EEXIST);
            }
            if mask & abi::IN_MASK_ADD != 0 {
                watch.mask.fetch_or(wanted, Ordering::Relaxed);
            } else {
                watch.mask.store(wanted, Ordering::Relaxed);
            }
            inode.refresh_watched();
            return Ok(watch.number);
        }
        let number = self.state.lock().last.checked_add(1).ok_or(Errno::ENOSPC)?;
        if WATCHES.load(Ordering::Relaxed) >= usize_of(MAX_WATCHES.load(Ordering::Relaxed)) {
            return Err(Errno::ENOSPC);
        }
        let watch = try_arc(Watch {
            group: self.handle()?,
            number,
            mask: AtomicU32::new(wanted),
        })?;
        let _charge = kmem::charge(TREE_NODES)?;
        notify::begin();
        inode.add_watch(Arc::clone(&watch))?;
        WATCHES.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        state.last = number;
        state.watches.insert(number, (watch, Arc::clone(inode)));
        drop(state);
        inode.refresh_watched();
        Ok(number)
    }

    /// A handle of itself, for a watch to reach it by.
    fn handle(&self) -> Result<Weak<Self>, Errno> {
        let groups = GROUPS.lock();
        let mut all = groups.iter();
        let own = all.find(|group| core::ptr::eq(group.as_ptr(), self));
        own.cloned().ok_or(Errno::EINVAL)
    }

    fn owns(&self, watch: &Watch) -> bool {
        core::ptr::eq(watch.group.as_ptr(), self)
    }

    /// Ends a watch and says so.
    ///
    /// # Errors
    /// `EINVAL` when there is no such watch.
    pub(crate) fn remove(&self, number: i32) -> Result<(), Errno> {
        let (watch, inode) = self
            .state
            .lock()
            .watches
            .remove(&number)
            .ok_or(Errno::EINVAL)?;
        release(&watch, &inode);
        self.append(number, &Seen::own(abi::IN_IGNORED));
        Ok(())
    }

    /// Puts an event into the queue.
    fn append(&self, watch: i32, seen: &Seen<'_>) {
        const SHOWN: u32 = abi::IN_ALL_EVENTS
            | abi::IN_ISDIR
            | abi::IN_UNMOUNT
            | abi::IN_IGNORED
            | abi::IN_Q_OVERFLOW;
        let max = usize_of(MAX_QUEUED.load(Ordering::Relaxed));
        // Without memory for it, it is lost as beyond the limit.
        let (name, max) = match try_copy(seen.name) {
            Ok(name) => (name, max),
            Err(_) => (Vec::new(), 0),
        };
        let event = Event {
            watch,
            mask: seen.mask & SHOWN,
            cookie: seen.cookie,
            name: name.into_boxed_slice(),
        };
        if self.state.lock().events.push(event, max) {
            self.queue.wake_all();
            self.signals.tell(abi::POLL_IN);
        }
    }

    /// Hands over as many events as fit.
    fn take(&self, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let mut done = 0;
        loop {
            let mut state = self.state.lock();
            let Some(size) = state.events.first_size() else {
                break;
            };
            if size > dst.remaining() {
                if done == 0 {
                    return Err(Errno::EINVAL);
                }
                break;
            }
            let Some(event) = state.events.pop() else {
                break;
            };
            drop(state);
            let put = dst
                .put(&event.header())
                .and_then(|_| dst.put(&event.name))
                .and_then(|_| dst.put_zeros(event.padding()));
            match put {
                Ok(_) => done += size,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }
}

impl Watch {
    /// What it wants to be told.
    pub(super) fn wants(&self) -> u32 {
        self.mask.load(Ordering::Relaxed) & (abi::IN_ALL_EVENTS | abi::IN_UNMOUNT)
    }

    fn tell(&self, seen: &Seen<'_>) {
        let mask = self.mask.load(Ordering::Relaxed);
        let skipped = seen.unlinked && mask & abi::IN_EXCL_UNLINK != 0;
        let Some(group) = self.group.upgrade() else {
            return;
        };
        if self.wants() & seen.mask == 0 || skipped {
            return;
        }
        group.append(self.number, seen);
        if mask & abi::IN_ONESHOT != 0 {
            let _ = group.remove(self.number);
        }
    }
}

/// Takes a watch off its inode.
fn release(watch: &Arc<Watch>, inode: &Arc<Inode>) {
    inode.remove_watch(watch);
    inode.refresh_watched();
    WATCHES.fetch_sub(1, Ordering::Relaxed);
}

/// Tells every watch of an inode.
pub(super) fn tell(inode: &Arc<Inode>, seen: &Seen<'_>) {
    let mut last = None;
    while let Some(watch) = inode.next_watch(last.as_ref()) {
        watch.tell(seen);
        last = Some(watch);
    }
}

/// Ends every watch of an inode that is gone.
pub(super) fn forget(inode: &Arc<Inode>) {
    while let Some(watch) = inode.next_watch(None) {
        let ended = watch
            .group
            .upgrade()
            .is_some_and(|group| group.remove(watch.number).is_ok());
        if !ended {
            inode.remove_watch(&watch);
        }
    }
}

/// Tells the watches of a file system's inodes that it is unmounted, and ends them.
pub(super) fn unmounted(sb: &Arc<SuperBlock>) {
    let mut index = 0;
    loop {
        let group = match GROUPS.lock().get(index) {
            Some(group) => group.upgrade(),
            None => return,
        };
        index += 1;
        let Some(group) = group else { continue };
        loop {
            let state = group.state.lock();
            let mut watches = state.watches.iter();
            let found = watches.find(|(_, (_, inode))| Arc::ptr_eq(inode.sb(), sb));
            let Some(number) = found.map(|(number, _)| *number) else {
                break;
            };
            drop(state);
            group.append(number, &Seen::own(abi::IN_UNMOUNT));
            let _ = group.remove(number);
        }
    }
}

impl FileOps for Group {
    fn read(&self, file: &File, dst: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        let present = || self.state.lock().events.first_size();
        if file.nonblocking() {
            present().ok_or(Errno::EAGAIN)?;
        } else {
            self.queue
                .wait(Mode::Interruptible, None, present)
                .map_err(|_| Errno::ERESTARTSYS)?;
        }
        self.take(dst)
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn ignores_seek(&self) -> bool {
        true
    }

    fn ioctl(&self, _: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        if request.command != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let bytes = self.state.lock().events.bytes();
        let bytes = low32(kiln_core::num::u64_of(bytes));
        request
            .space
            .write_val(UserAddr::new(request.arg), &bytes)?;
        Ok(0)
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn PollWatch>) -> Events {
        if let Some(watch) = watch {
            watch.add(&self.queue);
        }
        if self.state.lock().events.first_size().is_some() {
            Events::READABLE
        } else {
            Events::empty()
        }
    }

    fn describe(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        let mut last = 0;
        loop {
            let state = self.state.lock();
            let Some((number, (watch, inode))) = state.watches.range(last + 1..).next() else {
                return Ok(());
            };
            last = *number;
            let (watch, inode) = (Arc::clone(watch), Arc::clone(inode));
            drop(state);
            writeln!(
                out,
                "inotify wd:{:x} ino:{:x} sdev:{:x} mask:{:x} ignored_mask:0 ",
                watch.number,
                inode.ino(),
                inode.sb().dev().encode(),
                watch.wants() & abi::IN_ALL_EVENTS
            )?;
        }
    }

    fn async_lists(&self) -> [Option<&AsyncList>; 2] {
        [Some(&self.signals), None]
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        INSTANCES.fetch_sub(1, Ordering::Relaxed);
        let watches = core::mem::take(&mut self.state.lock().watches);
        for (watch, inode) in watches.values() {
            release(watch, inode);
        }
    }
}
