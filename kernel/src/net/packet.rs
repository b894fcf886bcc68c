//! [`Packet`]: bytes on their way from one socket to another, with what goes with them;
//! [`Account`]: how much of a sender's is on its way.
//!
//! A packet counts against its sender's buffer until it is gone, as Linux counts `sk_wmem_alloc`,
//! and all packets together are bounded by a part of memory: a program that only sends gets EAGAIN
//! or ENOBUFS, and not the end of the machine.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::net::addr::Endpoint;
use kiln_core::net::msg;
use kiln_core::net::queue::Piece;
use kiln_core::num::usize_of32;

use super::rights::Rights;
use crate::fs::memory::{try_arc, try_zeros};
use crate::mm::frame::{FrameRef, stats};
use crate::sched::WaitQueue;
use crate::vm::{IoDst, IoSrc, alloc_frame};

/// Most bytes of a packet that lie in the heap; larger ones have pages.
const SMALL: usize = 1024;
/// Bytes that Linux counts for a packet besides its data: its head (`struct sk_buff`),
const HEAD: usize = 256;
/// and what lies behind the data (`struct skb_shared_info`).
const SHARED: usize = 320;
/// Bytes of data that lie with it in one piece of at most a page (`SKB_MAX_HEAD`).
const LINEAR: usize = 3776;

/// What Linux counts for a packet of so many bytes (`truesize`): a program sees by it how much it can
/// send before it must wait.
fn true_size(len: usize) -> usize {
    let linear = len.min(LINEAR);
    let pages = (len - linear).next_multiple_of(PAGE_SIZE);
    HEAD + (linear + SHARED).next_power_of_two() + pages
}

/// Bytes of all packets.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// How many bytes all packets may have together: a quarter of memory.
fn limit() -> usize {
    static LIMIT: AtomicUsize = AtomicUsize::new(0);
    match LIMIT.load(Ordering::Relaxed) {
        0 => {
            let limit = stats().total / 4 * PAGE_SIZE;
            LIMIT.store(limit, Ordering::Relaxed);
            limit
        }
        limit => limit,
    }
}

/// Bytes of all packets now, for `/proc/net/sockstat`.
pub(super) fn in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

/// What of a sender's is on its way.
pub(crate) struct Account {
    used: AtomicUsize,
    limit: AtomicUsize,
    /// Somebody found no room: only then are TCP's writers woken.
    starved: AtomicBool,
    /// Writers are woken whenever there is room for a quarter more, as unix sockets' are.
    eager: bool,
    writers: Arc<WaitQueue>,
}

impl Account {
    /// With nothing on its way.
    pub(super) fn new(
        limit: u32,
        eager: bool,
        writers: &Arc<WaitQueue>,
    ) -> Result<Arc<Self>, Errno> {
        try_arc(Self {
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(usize_of32(limit)),
            starved: AtomicBool::new(false),
            eager,
            writers: Arc::clone(writers),
        })
    }

    /// Changes how much there may be.
    pub(super) fn set_limit(&self, limit: u32) {
        self.limit.store(usize_of32(limit), Ordering::Relaxed);
        self.writers.wake_all();
    }

    /// Bytes on their way, overhead included.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Whether one more packet may go: the last one may go beyond the limit.
    pub(super) fn has_room(&self) -> bool {
        let room = || self.used() < self.limit.load(Ordering::Relaxed);
        if room() {
            return true;
        }
        self.starved.store(true, Ordering::SeqCst);
        room()
    }

    /// Whether poll calls it writable: less than a quarter is in use.
    pub(super) fn is_writable(&self) -> bool {
        self.used().saturating_mul(4) <= self.limit.load(Ordering::Relaxed)
    }

    /// Whether poll calls a stream writable: a third is free (`sk_stream_is_writeable`).
    pub(super) fn stream_is_writable(&self) -> bool {
        let writable = || {
            let limit = self.limit.load(Ordering::Relaxed);
            let used = self.used();
            limit.saturating_sub(used) >= used / 2
        };
        if writable() {
            return true;
        }
        self.starved.store(true, Ordering::SeqCst);
        writable()
    }

    fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::SeqCst);
        let wake = match self.eager {
            true => self.is_writable() || self.starved.load(Ordering::SeqCst),
            false => {
                self.starved.load(Ordering::SeqCst) && {
                    let limit = self.limit.load(Ordering::Relaxed);
                    limit.saturating_sub(self.used()) >= self.used() / 2
                }
            }
        };
        if wake {
            self.starved.store(false, Ordering::SeqCst);
            self.writers.wake_all();
        }
    }
}

/// Who sent something (`struct ucred`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ucred {
    /// The process.
    pub(crate) pid: u32,
    /// Its user.
    pub(crate) uid: u32,
    /// Its group.
    pub(crate) gid: u32,
}

impl Ucred {
    /// Nobody that is known: what a message tells that was sent before anybody asked.
    pub(crate) const UNKNOWN: Self = Self {
        pid: 0,
        uid: 65_534,
        gid: 65_534,
    };

    /// As the structure's bytes.
    pub(crate) fn encode(self) -> [u8; 12] {
        let mut raw = [0; 12];
        let words = [self.pid, self.uid, self.gid];
        for (to, word) in raw.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        raw
    }
}

/// Bytes: few in the heap, many in pages.
enum Store {
    Heap(Vec<u8>),
    Pages(Vec<FrameRef>),
}

/// What goes with the bytes.
#[derive(Default)]
pub(crate) struct Extra {
    /// Files that are handed over.
    pub(super) rights: Option<Box<Rights>>,
    /// Who sent it, where somebody asked.
    pub(super) creds: Option<Ucred>,
    /// The sender's unix address.
    pub(super) name: Option<Arc<Vec<u8>>>,
    /// Of a datagram: from where, and to where.
    pub(super) route: Option<Route>,
}

/// The way of a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    /// The sender.
    pub(super) from: Endpoint,
    /// The address it was sent to.
    pub(super) to: IpAddr,
    /// The port it was sent to.
    pub(super) port: u16,
    /// Type of service, or traffic class.
    pub(super) tos: u8,
    /// Hops it may go.
    pub(super) ttl: u8,
    /// It is several datagrams of so many bytes for one that takes them as one; 0: it isn't.
    pub(super) segment: u16,
}

/// Bytes on their way.
pub(crate) struct Packet {
    store: Store,
    len: usize,
    size: usize,
    account: Option<Arc<Account>>,
    /// When it was sent: nanoseconds since boot.
    pub(super) stamp: u64,
    /// What goes with it; files are taken out when they are received.
    pub(super) rights: crate::sync::SpinLock<Option<Box<Rights>>>,
    pub(super) creds: Option<Ucred>,
    pub(super) name: Option<Arc<Vec<u8>>>,
    pub(super) route: Option<Route>,
    /// Datagrams that its receiver had lost before (`SO_RXQ_OVFL`).
    pub(super) dropped: AtomicU32,
}

impl Packet {
    /// Takes `len` bytes and counts them against `account`.
    pub(super) fn take(
        src: &mut IoSrc<'_>,
        len: usize,
        account: Option<&Arc<Account>>,
        extra: Extra,
    ) -> Result<Arc<Self>, Errno> {
        let size = true_size(len);
        if IN_USE.load(Ordering::Relaxed).saturating_add(size) > limit() {
            return Err(Errno::ENOBUFS);
        }
        let store = fill(src, len)?;
        let packet = try_arc(Self {
            store,
            len,
            size,
            account: account.map(Arc::clone),
            stamp: crate::arch::time::now_ns(),
            rights: crate::sync::SpinLock::new(extra.rights),
            creds: extra.creds,
            name: extra.name,
            route: extra.route,
            dropped: AtomicU32::new(0),
        });
        // Counted only when it is there: the end of the packet counts it out.
        if packet.is_ok() {
            IN_USE.fetch_add(size, Ordering::Relaxed);
            if let Some(account) = account {
                account.used.fetch_add(size, Ordering::SeqCst);
            }
        }
        packet
    }

    /// A packet of these bytes that nobody sent.
    pub(super) fn of(bytes: &[u8]) -> Result<Arc<Self>, Errno> {
        Self::take(
            &mut IoSrc::kernel(bytes),
            bytes.len(),
            None,
            Extra::default(),
        )
    }

    /// A packet of its first bytes, which what went with it goes with now.
    pub(super) fn first(&self, len: usize) -> Result<Arc<Self>, Errno> {
        let mut bytes = try_zeros(len)?;
        self.put(&mut IoDst::kernel(&mut bytes), 0, len)?;
        let extra = Extra {
            rights: None,
            creds: self.creds,
            name: self.name.clone(),
            route: self.route,
        };
        let account = self.account.as_ref();
        let first = Self::take(&mut IoSrc::kernel(&bytes), len, account, extra)?;
        let rights = self.rights.lock().take();
        *first.rights.lock() = rights;
        Ok(first)
    }

    /// Bytes it counts for.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Puts all of it, or what there is room for, which the receiver is `told`; answers what recv(2) does.
    pub(super) fn give(
        &self,
        dst: &mut IoDst<'_>,
        flags: u32,
        from: usize,
        told: &mut u32,
    ) -> Result<usize, Errno> {
        let (len, room) = (self.len.saturating_sub(from), dst.remaining());
        if len > room {
            *told |= msg::TRUNC;
        }
        self.put(dst, from, len)?;
        Ok(match flags & msg::TRUNC != 0 {
            true => len,
            false => len.min(room),
        })
    }

    /// Puts up to `len` of its bytes, from `at` on; how many went.
    pub(super) fn put(&self, dst: &mut IoDst<'_>, at: usize, len: usize) -> Result<usize, Errno> {
        let len = len.min(self.len.saturating_sub(at)).min(dst.remaining());
        match &self.store {
            Store::Heap(bytes) => dst.put(bytes.get(at..at + len).unwrap_or_default()),
            Store::Pages(pages) => put_pages(pages, dst, at, len),
        }
    }
}

impl Piece for Packet {
    fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        IN_USE.fetch_sub(self.size, Ordering::Relaxed);
        if let Some(account) = &self.account {
            account.release(self.size);
        }
        if let Some(rights) = self.rights.lock().take() {
            super::rights::bury(rights);
        }
    }
}

fn fill(src: &mut IoSrc<'_>, len: usize) -> Result<Store, Errno> {
    if len <= SMALL {
        let mut bytes = try_zeros(len)?;
        return whole(src.take(&mut bytes)?, len).map(|()| Store::Heap(bytes));
    }
    let count = len.div_ceil(PAGE_SIZE);
    let mut pages = Vec::new();
    pages.try_reserve_exact(count).map_err(|_| Errno::ENOBUFS)?;
    let mut left = len;
    while left > 0 {
        let part = left.min(PAGE_SIZE);
        let page = alloc_frame().map_err(|_| Errno::ENOBUFS)?;
        whole(src.take_into_frame(&page, 0, part)?, part)?;
        pages.push(page);
        left -= part;
    }
    Ok(Store::Pages(pages))
}

/// EFAULT unless all was copied: what is sent at once is there or isn't.
fn whole(done: usize, len: usize) -> Result<(), Errno> {
    (done == len).then_some(()).ok_or(Errno::EFAULT)
}

fn put_pages(
    pages: &[FrameRef],
    dst: &mut IoDst<'_>,
    at: usize,
    len: usize,
) -> Result<usize, Errno> {
    let mut done = 0;
    while done < len {
        let from = at + done;
        let Some(page) = pages.get(from / PAGE_SIZE) else {
            break;
        };
        let offset = from % PAGE_SIZE;
        let part = (len - done).min(PAGE_SIZE - offset);
        match dst.put_frame(page, offset, part) {
            Ok(count) => {
                done += count;
                if count < part {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
