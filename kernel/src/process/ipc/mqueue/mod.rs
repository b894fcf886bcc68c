//! POSIX message queues (mq_overview(7)): [`Queue`], who waits at one, and an open one as a file.
//!
//! | module | |
//! | --- | --- |
//! | [`tree`] | the file system `mqueue`, in which queues have their names |
//! | [`notify`] | who is told when a message comes to an empty queue |
//!
//! Whoever waits has a [`Slot`] in the queue's list, in the order of coming. A message goes straight
//! into the slot of a waiting receiver, and a receiver that makes room takes in the first waiting
//! sender's, so nobody who comes later is served before. The queue's lock is a spin lock.

pub(crate) mod notify;
pub(crate) mod tree;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::ipc::posix::{Limits, Message, Messages, Shape};
use kiln_core::num::usize_of;

use crate::fs::memory::try_arc;
use crate::fs::procfs::{SystemFile, Text, number_file};
use crate::fs::{Events, File, FileOps, Inode, Watch};
use crate::process::current;
use crate::sched::{Deadline, Mode, WaitQueue, Wake};
use crate::sync::SpinLock;
use crate::vm::{IoDst, IoSrc};
use notify::Notify;

/// `/proc/sys/fs/mqueue`: shapes of queues when none is asked for, the most of those without
/// privilege, and how many queues there may be.
static DEFAULT_MESSAGES: AtomicU64 = AtomicU64::new(10);
static DEFAULT_SIZE: AtomicU64 = AtomicU64::new(8192);
static MAX_MESSAGES: AtomicU64 = AtomicU64::new(10);
static MAX_SIZE: AtomicU64 = AtomicU64::new(8192);
static MAX_QUEUES: AtomicU64 = AtomicU64::new(256);

/// `HARD_MSGMAX` and `HARD_MSGSIZEMAX` (linux/ipc_namespace.h).
const MOST_MESSAGES: u64 = 65536;
const MOST_BYTES: u64 = 16 << 20;

/// The files.
pub(in crate::process) const FILES: &[SystemFile] = &[
    number_file!(
        "sys/fs/mqueue/msg_default",
        DEFAULT_MESSAGES,
        1,
        MOST_MESSAGES
    ),
    number_file!("sys/fs/mqueue/msg_max", MAX_MESSAGES, 1, MOST_MESSAGES),
    number_file!(
        "sys/fs/mqueue/msgsize_default",
        DEFAULT_SIZE,
        128,
        MOST_BYTES
    ),
    number_file!("sys/fs/mqueue/msgsize_max", MAX_SIZE, 128, MOST_BYTES),
    number_file!("sys/fs/mqueue/queues_max", MAX_QUEUES),
];

/// The shape of a queue for which none is asked.
fn usual_shape() -> Shape {
    let least = |a: &AtomicU64, b: &AtomicU64| {
        let (a, b) = (a.load(Ordering::Relaxed), b.load(Ordering::Relaxed));
        a.min(b)
    };
    Shape {
        messages: least(&DEFAULT_MESSAGES, &MAX_MESSAGES),
        size: least(&DEFAULT_SIZE, &MAX_SIZE),
    }
}

fn limits() -> Limits {
    Limits {
        messages: MAX_MESSAGES.load(Ordering::Relaxed),
        size: MAX_SIZE.load(Ordering::Relaxed),
    }
}

/// A sender or receiver that waits.
struct Slot {
    /// A sender's until it is taken, a receiver's once it is given.
    message: SpinLock<Option<Message>>,
    served: AtomicBool,
    event: WaitQueue,
}

/// A queue.
pub(crate) struct Queue {
    shape: Shape,
    state: SpinLock<State>,
    /// For poll.
    changed: Arc<WaitQueue>,
    /// What it counts for against its maker's limit, until it goes.
    _share: tree::Share,
}

#[derive(Default)]
struct State {
    messages: Messages,
    senders: VecDeque<Arc<Slot>>,
    receivers: VecDeque<Arc<Slot>>,
    notify: Option<Notify>,
}

impl Queue {
    fn new(shape: Shape, share: tree::Share) -> Result<Arc<Self>, Errno> {
        try_arc(Self {
            shape,
            state: SpinLock::new(State::default()),
            changed: try_arc(WaitQueue::new())?,
            _share: share,
        })
    }

    /// The queue behind an open file; EBADF.
    ///
    /// # Errors
    /// `EBADF`.
    pub(crate) fn of(file: &File) -> Result<&Arc<Self>, Errno> {
        let open: &OpenQueue = file.ops_as().ok_or(Errno::EBADF)?;
        Ok(&open.0)
    }

    /// Bytes of its longest messages.
    pub(crate) fn message_size(&self) -> usize {
        usize_of(self.shape.size)
    }

    /// What `struct mq_attr` tells besides the flags: most messages, bytes of one, messages now.
    pub(crate) fn told(&self) -> [u64; 3] {
        let count = kiln_core::num::u64_of(self.state.lock().messages.len());
        [self.shape.messages, self.shape.size, count]
    }

    fn is_full(&self, state: &State) -> bool {
        kiln_core::num::u64_of(state.messages.len()) >= self.shape.messages
    }

    /// mq_timedsend(3).
    ///
    /// # Errors
    /// As there.
    pub(crate) fn send(
        &self,
        file: &File,
        message: Message,
        deadline: Deadline,
    ) -> Result<(), Errno> {
        let slot = new_slot()?;
        let mut state = self.state.lock();
        if self.is_full(&state) {
            if file.nonblocking() {
                return Err(Errno::EAGAIN);
            }
            *slot.message.lock() = Some(message);
            enqueue(&mut state.senders, &slot)?;
            drop(state);
            self.wait(&slot, |state| &mut state.senders, deadline)?;
            return Ok(());
        }
        if let Some(receiver) = state.receivers.pop_front() {
            drop(state);
            *receiver.message.lock() = Some(message);
            serve(&receiver);
            tree::touch(&file.inode);
            return Ok(());
        }
        state.messages.push(message).map_err(|_| Errno::ENOMEM)?;
        let told = if state.messages.len() == 1 {
            state.notify.take()
        } else {
            None
        };
        drop(state);
        tree::touch(&file.inode);
        if let Some(told) = told {
            told.message_came();
        }
        self.changed.wake_all();
        Ok(())
    }

    /// mq_timedreceive(3).
    ///
    /// # Errors
    /// As there.
    pub(crate) fn receive(&self, file: &File, deadline: Deadline) -> Result<Message, Errno> {
        let slot = new_slot()?;
        let mut state = self.state.lock();
        let Some(message) = state.messages.pop() else {
            if file.nonblocking() {
                return Err(Errno::EAGAIN);
            }
            enqueue(&mut state.receivers, &slot)?;
            drop(state);
            self.wait(&slot, |state| &mut state.receivers, deadline)?;
            return slot.message.lock().take().ok_or(Errno::EAGAIN);
        };
        let sender = state.senders.pop_front();
        if let Some(sender) = &sender
            && let Some(next) = sender.message.lock().take()
        {
            // The room is that of the message just taken.
            let _ = state.messages.push(next);
        }
        drop(state);
        tree::touch(&file.inode);
        match sender {
            Some(sender) => serve(&sender),
            None => self.changed.wake_all(),
        }
        Ok(message)
    }

    /// Waits until the slot is served. Who gives up takes it out of its list, unless it has just
    /// been served after all.
    fn wait(
        &self,
        slot: &Arc<Slot>,
        list: fn(&mut State) -> &mut VecDeque<Arc<Slot>>,
        deadline: Deadline,
    ) -> Result<(), Errno> {
        let served = || slot.served.load(Ordering::Acquire).then_some(());
        let Err(wake) = slot.event.wait(Mode::Interruptible, deadline, served) else {
            return Ok(());
        };
        let still_there = {
            let mut state = self.state.lock();
            let list = list(&mut state);
            let at = list.iter().position(|other| Arc::ptr_eq(other, slot));
            at.and_then(|at| list.remove(at)).is_some()
        };
        if !still_there {
            // Whoever took it out is about to serve it.
            let _ = slot.event.wait(Mode::Uninterruptible, None, served);
            return Ok(());
        }
        Err(match wake {
            Wake::Timeout => Errno::ETIMEDOUT,
            Wake::Signal => Errno::ERESTARTSYS,
        })
    }

    /// mq_notify(3): registers the calling process.
    ///
    /// # Errors
    /// `EBUSY` when another is.
    pub(crate) fn register(&self, inode: &Inode, notify: Notify) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if state.notify.is_some() {
            drop(state);
            drop(notify);
            return Err(Errno::EBUSY);
        }
        state.notify = Some(notify);
        drop(state);
        tree::touch_access(inode);
        Ok(())
    }

    /// mq_notify(3) with nothing, and the end of a descriptor: the calling process is registered no
    /// more.
    pub(crate) fn unregister(&self, inode: &Inode) {
        let Some(task) = current() else { return };
        let removed = {
            let mut state = self.state.lock();
            let own = |notify: &Notify| notify.is_of(task.process());
            if state.notify.as_ref().is_some_and(own) {
                state.notify.take()
            } else {
                None
            }
        };
        if let Some(removed) = removed {
            removed.removed();
            tree::touch_access(inode);
        }
    }

    /// What a read of it tells.
    fn describe(&self, out: &mut Text) -> Result<(), Errno> {
        let state = self.state.lock();
        let (bytes, told) = (state.messages.bytes(), state.notify.as_ref());
        let (kind, signal, pid) = told.map_or((0, 0, 0), Notify::shown);
        drop(state);
        out.put(format_args!(
            "QSIZE:{bytes:<10} NOTIFY:{kind:<5} SIGNO:{signal:<5} NOTIFY_PID:{pid:<6}\n"
        ))
    }
}

fn new_slot() -> Result<Arc<Slot>, Errno> {
    try_arc(Slot {
        message: SpinLock::new(None),
        served: AtomicBool::new(false),
        event: WaitQueue::new(),
    })
}

fn enqueue(list: &mut VecDeque<Arc<Slot>>, slot: &Arc<Slot>) -> Result<(), Errno> {
    list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    list.push_back(Arc::clone(slot));
    Ok(())
}

fn serve(slot: &Slot) {
    slot.served.store(true, Ordering::Release);
    slot.event.wake_all();
}

/// An open queue.
struct OpenQueue(Arc<Queue>);

impl FileOps for OpenQueue {
    fn read(&self, file: &File, dst: &mut IoDst<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let mut text = Text::default();
        self.0.describe(&mut text)?;
        let from = usize_of(*pos);
        let Some(rest) = text.as_bytes().get(from..).filter(|rest| !rest.is_empty()) else {
            return Ok(0);
        };
        let count = dst.put(rest)?;
        *pos += kiln_core::num::u64_of(count);
        tree::touch_access(&file.inode);
        Ok(count)
    }

    fn write(&self, _: &File, _: &mut IoSrc<'_>, _: &mut u64) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn Watch>) -> Events {
        if let Some(watch) = watch {
            watch.add(&self.0.changed);
        }
        let state = self.0.state.lock();
        let mut events = Events::empty();
        events.set(Events::READABLE, !state.messages.is_empty());
        events.set(Events::WRITABLE, !self.0.is_full(&state));
        events
    }

    fn flush(&self, file: &File) -> Result<(), Errno> {
        self.0.unregister(&file.inode);
        Ok(())
    }
}

/// EBADF unless the file is open for what is asked of it.
pub(crate) fn check_access(file: &File, writes: bool) -> Result<(), Errno> {
    let allowed = if writes {
        file.writable()
    } else {
        file.readable()
    };
    allowed.then_some(()).ok_or(Errno::EBADF)
}

/// `O_NONBLOCK` of an open queue, as `mq_flags` has it.
pub(crate) fn flags_of(file: &File) -> u64 {
    u64::from(file.flags() & abi::O_NONBLOCK)
}
