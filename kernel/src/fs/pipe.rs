//! [`Pipe`]: pipes and FIFOs. The ring is in `kiln_core::fs::pipe`; here are its pages and the
//! waiting, in `end` the two ends as open files.
//!
//! One sleeping lock serialises reads and writes, which copy while they hold it; the ring itself
//! is behind a spin lock, so that waiting and polling can look at it.

mod end;
mod users;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kiln_core::abi;
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::fs::perm::{Capability, Identity};
use kiln_core::fs::pipe::{MAX_SLOTS, Ring, Slot};
use kiln_core::num::{u64_of, usize_of};

use super::fasync::AsyncList;
use super::memory::try_arc;
use crate::mm::frame::FrameRef;
use crate::sched::{Mode, Mutex, WaitQueue};
use crate::sync::SpinLock;
use crate::vm::{IoDst, IoSrc, alloc_frame};

use users::Share;

pub(crate) use end::{create, open};
pub(crate) use users::{MANY_PAGES, MOST_PAGES};

/// A pipe.
pub(crate) struct Pipe {
    /// Held while bytes are copied.
    pub(super) busy: Mutex<()>,
    share: Share,
    pub(super) ring: SpinLock<Ring<FrameRef>>,
    readers: AtomicU32,
    writers: AtomicU32,
    /// Openings for reading and writing ever, so that a FIFO's opener sees one that has gone.
    read_opens: AtomicU32,
    write_opens: AtomicU32,
    /// For something to read, or the last writer's going.
    pub(super) filled: Arc<WaitQueue>,
    /// For room, or the last reader's going.
    pub(super) drained: Arc<WaitQueue>,
    /// Who is told by signals of something to read, and of room.
    pub(super) readable: AsyncList,
    pub(super) writable: AsyncList,
    /// A page used before, so that a small pipe needs no allocation.
    spare: SpinLock<Option<FrameRef>>,
}

/// How large everybody may make a pipe (`/proc/sys/fs/pipe-max-size`).
pub(super) static MAX_SIZE: AtomicU64 = AtomicU64::new(u64_of(MAX_SLOTS * PAGE_SIZE));

/// The most that the privileged can ask for: Linux keeps 40 bytes for each page, in one piece of 4 MiB at most.
const LARGEST: usize = 1 << 28;

/// The size that a request for `bytes` gives.
fn rounded(bytes: usize) -> u64 {
    u64_of(Ring::<()>::slots_for(bytes) * PAGE_SIZE)
}

/// Sets how large everybody may make a pipe.
pub(super) fn set_max_size(bytes: u64) -> Result<(), Errno> {
    if bytes > 1 << 31 {
        return Err(Errno::EINVAL);
    }
    let size = rounded(usize_of(bytes));
    MAX_SIZE.store(size, Ordering::Relaxed);
    Ok(())
}

impl Pipe {
    /// An empty pipe without ends for somebody; `full` when they have too many (`alloc_pipe_info` of Linux's fs/pipe.c).
    pub(crate) fn new(who: &Identity<'_>, full: Errno) -> Result<Arc<Self>, Errno> {
        let mut ring = Ring::new();
        let mut size = u64_of(ring.capacity());
        if !who.can(Capability::SysResource) {
            size = size.min(MAX_SIZE.load(Ordering::Relaxed));
        }
        let share = Share::new(who, size, full)?;
        // It is empty.
        let _ = ring.resize(usize_of(share.size()));
        let filled = try_arc(WaitQueue::new())?;
        let drained = try_arc(WaitQueue::new())?;
        try_arc(Self {
            busy: Mutex::new(()),
            share,
            ring: SpinLock::new(ring),
            readers: AtomicU32::new(0),
            writers: AtomicU32::new(0),
            read_opens: AtomicU32::new(0),
            write_opens: AtomicU32::new(0),
            filled,
            drained,
            readable: AsyncList::new(),
            writable: AsyncList::new(),
            spare: SpinLock::new(None),
        })
    }

    pub(super) fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Acquire) != 0
    }

    pub(super) fn has_writers(&self) -> bool {
        self.writers.load(Ordering::Acquire) != 0
    }

    fn page(&self) -> Result<FrameRef, Errno> {
        let spare = self.spare.lock().take();
        match spare {
            Some(page) => Ok(page),
            None => alloc_frame().map_err(|_| Errno::ENOMEM),
        }
    }

    /// Keeps a page for the next write, when nobody else has it.
    pub(super) fn recycle(&self, page: FrameRef) {
        if page.count() == 1 {
            let old = self.spare.lock().replace(page);
            drop(old);
        }
    }

    /// Waits until there is something to read; `false` at the end.
    pub(super) fn wait_filled(&self, nonblocking: bool) -> Result<bool, Errno> {
        let state = || match (self.ring.lock().is_empty(), self.has_writers()) {
            (false, _) => Some(true),
            (true, false) => Some(false),
            (true, true) => None,
        };
        if nonblocking {
            return state().ok_or(Errno::EAGAIN);
        }
        let waited = self.filled.wait(Mode::Interruptible, None, state);
        waited.map_err(|_| Errno::ERESTARTSYS)
    }

    /// Waits until a write of `len` bytes can begin; EPIPE when nobody will read it.
    pub(super) fn wait_drained(&self, len: usize, nonblocking: bool) -> Result<(), Errno> {
        let state = || match (self.has_readers(), self.ring.lock().can_write(len)) {
            (false, _) => Some(Err(Errno::EPIPE)),
            (true, true) => Some(Ok(())),
            (true, false) => None,
        };
        if nonblocking {
            return state().unwrap_or(Err(Errno::EAGAIN));
        }
        match self.drained.wait(Mode::Interruptible, None, state) {
            Ok(result) => result,
            Err(_) => Err(Errno::ERESTARTSYS),
        }
    }

    /// Reads what there is, waiting for the first byte.
    fn read(&self, dst: &mut IoDst<'_>, nonblocking: bool) -> Result<usize, Errno> {
        if dst.remaining() == 0 {
            return Ok(0);
        }
        loop {
            let guard = self.busy.lock();
            let done = self.drain(dst);
            drop(guard);
            match done {
                Ok(0) => {}
                done => {
                    self.writable.tell(abi::POLL_OUT);
                    return done;
                }
            }
            if !self.wait_filled(nonblocking)? {
                return Ok(0);
            }
        }
    }

    /// Moves what there is to `dst`; the lock is held.
    fn drain(&self, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let was_full = self.ring.lock().is_full();
        let mut done = 0;
        let mut failed = None;
        while dst.remaining() > 0 {
            let first = self.ring.lock().first().cloned();
            let Some(slot) = first else { break };
            let wanted = slot.len.min(dst.remaining());
            match dst.put_frame(&slot.page, slot.offset, slot.len) {
                // As on Linux a page's part goes as a whole or not at all.
                Ok(count) if count < wanted => {
                    failed = Some(Errno::EFAULT);
                    break;
                }
                Ok(count) => {
                    done += count;
                    drop(slot.page);
                    let freed = match slot.packet {
                        true => self.ring.lock().discard_first(),
                        false => self.ring.lock().consume(count),
                    };
                    if let Some(page) = freed {
                        self.recycle(page);
                    }
                    if slot.packet {
                        break;
                    }
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        self.after_reading(was_full);
        match failed {
            Some(error) if done == 0 => Err(error),
            _ => Ok(done),
        }
    }

    /// Wakes those who wait for what a read has changed.
    pub(super) fn after_reading(&self, was_full: bool) {
        let (empty, full) = {
            let ring = self.ring.lock();
            (ring.is_empty(), ring.is_full())
        };
        if was_full && !full {
            self.drained.wake_one();
        }
        if !empty {
            self.filled.wake_one();
        }
    }

    /// Writes everything, waiting for room as often as it takes; what is at most `PIPE_BUF`
    /// bytes goes in at once.
    fn write(&self, src: &mut IoSrc<'_>, nonblocking: bool, packets: bool) -> Result<usize, Errno> {
        let total = src.remaining();
        let mut done = 0;
        while src.remaining() > 0 {
            let waited = self.wait_drained(src.remaining(), nonblocking);
            let guard = self.busy.lock();
            let step = waited.and_then(|()| self.fill(src, packets));
            drop(guard);
            match step {
                Ok(count) => {
                    done += count;
                    self.readable.tell(abi::POLL_IN);
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        debug_assert!(done <= total, "no more than there was");
        Ok(done)
    }

    /// Puts in what fits; the lock is held.
    fn fill(&self, src: &mut IoSrc<'_>, packets: bool) -> Result<usize, Errno> {
        if !self.has_readers() {
            return Err(Errno::EPIPE);
        }
        if !self.ring.lock().can_write(src.remaining()) {
            return Ok(0);
        }
        let mut done = if packets { 0 } else { self.top_up(src)? };
        while src.remaining() > 0 && !self.ring.lock().is_full() {
            match self.add_page(src, packets) {
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        self.after_writing();
        Ok(done)
    }

    /// Wakes those who wait for what a write has changed.
    pub(super) fn after_writing(&self) {
        let (empty, full) = {
            let ring = self.ring.lock();
            (ring.is_empty(), ring.is_full())
        };
        if !empty {
            self.filled.wake_one();
        }
        if !full {
            self.drained.wake_one();
        }
    }

    /// Puts the odd bytes behind the last page's, where they fit.
    fn top_up(&self, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let (page, at, room) = {
            let ring = self.ring.lock();
            let room = ring.room_in_last(src.remaining());
            match ring.last() {
                Some((page, at)) if room > 0 => (page.clone(), at, room),
                _ => return Ok(0),
            }
        };
        let done = src.take_into_frame(&page, at, room)?;
        drop(page);
        if done < room {
            return Err(Errno::EFAULT);
        }
        self.ring.lock().extend_last(done);
        Ok(done)
    }

    fn add_page(&self, src: &mut IoSrc<'_>, packet: bool) -> Result<usize, Errno> {
        let page = self.page()?;
        let wanted = src.remaining().min(PAGE_SIZE);
        let done = match src.take_into_frame(&page, 0, PAGE_SIZE) {
            Ok(done) if done == wanted => done,
            _ => {
                self.recycle(page);
                return Err(Errno::EFAULT);
            }
        };
        let slot = Slot {
            page,
            offset: 0,
            len: done,
            open: !packet,
            packet,
        };
        let pushed = self.ring.lock().push(slot);
        pushed.map_err(|_| Errno::ENOMEM)?;
        Ok(done)
    }

    /// `F_SETPIPE_SZ`.
    pub(crate) fn resize(&self, who: &Identity<'_>, bytes: usize) -> Result<u64, Errno> {
        let _guard = self.busy.lock();
        let (before, size) = (self.share.size(), rounded(bytes));
        if size > before {
            let most = MAX_SIZE.load(Ordering::Relaxed);
            if size > most && !who.can(Capability::SysResource) {
                return Err(Errno::EPERM);
            }
            self.share.grow(who, size)?;
        }
        let resized = if bytes > LARGEST {
            Err(Errno::ENOMEM)
        } else {
            self.ring.lock().resize(bytes).map_err(|_| Errno::EBUSY)
        };
        self.share.count(resized.map_or(before, u64_of))?;
        self.drained.wake_all();
        resized.map(u64_of)
    }

    /// `F_GETPIPE_SZ`.
    pub(crate) fn capacity(&self) -> u64 {
        u64_of(self.ring.lock().capacity())
    }
}
