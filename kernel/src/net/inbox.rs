//! [`Inbox`]: what arrived at a socket and wasn't received yet, as a stream or as messages.
//!
//! The queue is behind a spin lock; a sleeping lock serialises stream readers, which copy while
//! they hold it. A message is taken out whole before it is copied.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::net::msg;
use kiln_core::net::queue::{ByteQueue, Piece};

use super::common::{Common, Patience};
use super::packet::Packet;
use super::rights::Rights;
use super::socket::Received;
use crate::fs::fasync::AsyncList;
use crate::fs::memory::try_arc;
use crate::sched::{Mutex, WaitQueue};
use crate::sync::SpinLock;
use crate::vm::IoDst;

/// What arrived and wasn't received.
pub(super) struct Inbox {
    reading: Mutex<()>,
    queue: SpinLock<ByteQueue<Arc<Packet>>>,
    readers: Arc<WaitQueue>,
    signals: Arc<AsyncList>,
    /// For senders that found too many messages here.
    pub(super) drained: Arc<WaitQueue>,
    /// Bytes that the packets count for.
    held: AtomicUsize,
}

/// How a stream stands for a reader that has read everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// More may come.
    Open,
    /// Nothing will.
    End,
    /// An error is pending.
    Failed(Errno),
}

/// A read from a stream.
pub(super) struct StreamRead<'a> {
    /// `MSG_*`.
    pub(super) flags: u32,
    pub(super) patience: Patience,
    /// Bytes to wait for, at least (`SO_RCVLOWAT`).
    pub(super) low_water: usize,
    /// Where a look begins.
    pub(super) from: usize,
    /// The urgent byte is read like the others.
    pub(super) inline: bool,
    /// Senders are told, so no read goes over from one to another.
    pub(super) pass_creds: bool,
    /// How the stream stands; an error that it tells is gone then.
    pub(super) flow: &'a dyn Fn() -> Flow,
    /// Whether a look may stop waiting: as `flow`, without taking the error.
    pub(super) interrupted: &'a dyn Fn() -> bool,
}

/// How far a read came.
#[derive(Default)]
struct Progress {
    done: usize,
    /// From the front, for a look that leaves everything.
    offset: usize,
    /// Nothing more may be read at once.
    over: bool,
    /// It has begun with a piece.
    begun: bool,
}

impl Inbox {
    /// Empty.
    pub(super) fn new(common: &Common) -> Result<Self, Errno> {
        Ok(Self {
            reading: Mutex::new(()),
            queue: SpinLock::new(ByteQueue::new()),
            readers: Arc::clone(&common.readers),
            signals: Arc::clone(&common.signals),
            drained: try_arc(WaitQueue::new())?,
            held: AtomicUsize::new(0),
        })
    }

    /// Puts a packet in, unless `refused` says no under the queue's lock, and wakes readers.
    pub(super) fn push(
        &self,
        packet: Arc<Packet>,
        urgent: bool,
        refused: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let size = packet.size();
        let pushed = {
            let mut queue = self.queue.lock();
            match refused() {
                Ok(()) => queue.push(packet, urgent),
                Err(error) => {
                    drop(queue);
                    drop(packet);
                    return Err(error);
                }
            }
        };
        pushed?;
        self.held.fetch_add(size, Ordering::Relaxed);
        self.readers.wake_all();
        self.signals.tell(abi::POLL_IN);
        Ok(())
    }

    /// Does something while nothing can be put in.
    pub(super) fn locked<T>(&self, work: impl FnOnce() -> T) -> T {
        let _queue = self.queue.lock();
        work()
    }

    /// Bytes to be read.
    pub(super) fn bytes(&self) -> usize {
        self.queue.lock().bytes()
    }

    /// Messages to be read.
    pub(super) fn messages(&self) -> usize {
        self.queue.lock().pieces()
    }

    /// Bytes of memory it holds.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.lock().is_empty()
    }

    /// Bytes of the first message.
    pub(super) fn first_len(&self) -> usize {
        let queue = self.queue.lock();
        queue.find(0).map_or(0, |(piece, _)| piece.len())
    }

    /// Whether there is something for a plain read of a stream.
    pub(super) fn has_plain(&self, inline: bool) -> bool {
        self.queue.lock().has_plain(inline)
    }

    /// Whether a plain read has something that is at least the low-water mark.
    pub(super) fn has_urgent(&self) -> bool {
        self.queue.lock().has_urgent()
    }

    /// Whether the next byte is at the urgent mark.
    pub(super) fn at_mark(&self) -> bool {
        self.queue.lock().at_mark()
    }

    /// Throws everything away; whether there was something.
    pub(super) fn clear(&self) -> bool {
        let old = core::mem::take(&mut *self.queue.lock());
        let had = old.bytes() > 0 || old.pieces() > 0;
        self.held.store(0, Ordering::Relaxed);
        drop(old);
        self.drained.wake_all();
        had
    }

    /// Looks at the files of every message.
    pub(super) fn each_rights(&self, look: &mut dyn FnMut(&Rights)) {
        let queue = self.queue.lock();
        for packet in queue.iter() {
            if let Some(rights) = packet.rights.lock().as_deref() {
                look(rights);
            }
        }
    }

    /// Waits for a message and takes it out, or with `MSG_PEEK` leaves it: then the one that the byte `from` is in,
    /// which is counted from its start afterwards. `over` says that nothing
    /// will come, or fails.
    pub(super) fn message(
        &self,
        flags: u32,
        from: &mut usize,
        patience: Patience,
        over: &dyn Fn() -> Option<Result<(), Errno>>,
    ) -> Result<Option<Arc<Packet>>, Errno> {
        let peek = flags & msg::PEEK != 0;
        let start = *from;
        let mut take = || {
            let mut queue = self.queue.lock();
            if peek {
                *from = start;
                let is_it = |packet: &&Arc<Packet>| {
                    let passed = *from >= packet.len() && *from > 0;
                    *from -= if passed { packet.len() } else { 0 };
                    !passed
                };
                return queue.iter().find(is_it).map(Arc::clone);
            }
            let packet = queue.pop()?;
            self.held.fetch_sub(packet.size(), Ordering::Relaxed);
            Some(packet)
        };
        let found = patience.wait(&self.readers, || match over() {
            Some(Err(error)) => Some(Err(error)),
            ended => match (take(), ended) {
                (Some(packet), _) => Some(Ok(Some(packet))),
                (None, Some(_)) => Some(Ok(None)),
                (None, None) => None,
            },
        })??;
        if !peek && found.is_some() {
            self.drained.wake_all();
        }
        Ok(found)
    }

    /// Reads from the stream.
    pub(super) fn read(
        &self,
        dst: &mut IoDst<'_>,
        how: &StreamRead<'_>,
        received: &mut Received,
    ) -> Result<usize, Errno> {
        let wanted = dst.remaining();
        let target = match how.flags & msg::WAITALL != 0 {
            true => wanted,
            false => how.low_water.min(wanted),
        };
        let target = target.max(1);
        let mut progress = Progress {
            offset: how.from,
            ..Progress::default()
        };
        loop {
            let copied = {
                let _guard = self.reading.lock();
                self.copy(dst, how, received, &mut progress)
            };
            if let Err(error) = copied {
                return if progress.done > 0 {
                    Ok(progress.done)
                } else {
                    Err(error)
                };
            }
            let full = dst.remaining() == 0 && (wanted > 0 || self.has_plain(how.inline));
            if progress.over || progress.done >= target || full {
                return Ok(progress.done);
            }
            if progress.done > 0 && (how.patience == Patience::None || (how.interrupted)()) {
                return Ok(progress.done);
            }
            match (how.flow)() {
                // What came before the end is read first.
                Flow::End | Flow::Failed(_) if self.more(how, &progress) => {}
                Flow::Open => {}
                Flow::End => return Ok(progress.done),
                Flow::Failed(error) => return Err(error),
            }
            let waited = how.patience.wait(&self.readers, || {
                (self.more(how, &progress) || (how.interrupted)()).then_some(())
            });
            match waited {
                Ok(()) => {}
                Err(_) if progress.done > 0 => return Ok(progress.done),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether there is more than was looked at.
    fn more(&self, how: &StreamRead<'_>, progress: &Progress) -> bool {
        let queue = self.queue.lock();
        let step = queue.step(progress.offset, 1, how.inline);
        step.take > 0
    }

    /// Copies what there is; the lock of readers is held.
    fn copy(
        &self,
        dst: &mut IoDst<'_>,
        how: &StreamRead<'_>,
        received: &mut Received,
        progress: &mut Progress,
    ) -> Result<(), Errno> {
        let peek = how.flags & msg::PEEK != 0;
        while dst.remaining() > 0 && !progress.over {
            let step = self
                .queue
                .lock()
                .step(progress.offset, dst.remaining(), how.inline);
            if step.skip > 0 {
                self.advance(step.skip, peek, progress);
            }
            let found = {
                let queue = self.queue.lock();
                let found = queue.find(progress.offset);
                found.map(|(packet, at)| (Arc::clone(packet), at))
            };
            let Some((packet, at)) = found.filter(|_| step.take > 0) else {
                progress.over |= step.stops && progress.done > 0;
                return Ok(());
            };
            if progress.begun && how.pass_creds && packet.creds != received.creds {
                progress.over = true;
                return Ok(());
            }
            if how.pass_creds || !progress.begun {
                received.creds = packet.creds;
                received.name.clone_from(&packet.name);
                received.stamp = packet.stamp;
            }
            let room = packet.len().saturating_sub(at).min(step.take);
            let count = packet.put(dst, at, room)?;
            progress.begun = true;
            progress.done += count;
            progress.over |= self.hand_over(&packet, peek, received)?;
            self.advance(count, peek, progress);
            progress.over |= step.stops && count == step.take;
            if count < room {
                progress.over = true;
            }
        }
        Ok(())
    }

    /// Gives the files of a message to its receiver; whether there were any.
    fn hand_over(
        &self,
        packet: &Packet,
        peek: bool,
        received: &mut Received,
    ) -> Result<bool, Errno> {
        received.take_rights(packet, peek)
    }

    fn advance(&self, count: usize, peek: bool, progress: &mut Progress) {
        if peek {
            progress.offset += count;
            return;
        }
        // The pieces are dropped outside the lock: that may wake their sender.
        let mut gone: Vec<Arc<Packet>> = Vec::new();
        let mut size = 0;
        let mut kept = None;
        self.queue.lock().consume(count, |packet| {
            size += packet.size();
            match kept {
                None => kept = Some(packet),
                Some(_) if gone.try_reserve(1).is_ok() => gone.push(packet),
                Some(_) => {}
            }
        });
        self.held.fetch_sub(size, Ordering::Relaxed);
        drop(kept);
        drop(gone);
    }

    /// The urgent byte (`MSG_OOB`). EINVAL when there is none.
    pub(super) fn urgent(&self, peek: bool) -> Result<u8, Errno> {
        let _guard = self.reading.lock();
        let found = {
            let mut queue = self.queue.lock();
            let at = queue.take_urgent(peek).ok_or(Errno::EINVAL)?;
            let found = queue.find(at);
            found.map(|(packet, at)| (Arc::clone(packet), at))
        };
        let (packet, at) = found.ok_or(Errno::EINVAL)?;
        let mut byte = [0];
        packet.put(&mut IoDst::kernel(&mut byte), at, 1)?;
        Ok(byte[0])
    }
}

impl Received {
    /// Takes the files of a message; whether there were any.
    pub(super) fn take_rights(&mut self, packet: &Packet, peek: bool) -> Result<bool, Errno> {
        if peek {
            let rights = packet.rights.lock();
            let Some(rights) = rights.as_deref() else {
                return Ok(false);
            };
            self.files = rights.copy()?;
            return Ok(true);
        }
        let rights = packet.rights.lock().take();
        let Some(rights) = rights else {
            return Ok(false);
        };
        self.files = rights.land();
        Ok(true)
    }
}
