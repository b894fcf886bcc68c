//! System V message queues (msgget(2), msgsnd(2), msgrcv(2), msgctl(2)).

use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::abi;
use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::ipc::msg::{COPY, EXCEPT, Message, MsgQueue, NOERROR, Wanted};
use kiln_core::ipc::perm::NOWAIT;
use kiln_core::ipc::{Ids, PERM_SIZE, Perm};
use kiln_core::num::{low32, u64_of, usize_of};

use super::{Object, Table};
use crate::fs::memory::try_arc;
use crate::sched::{Mode, WaitQueue};
use crate::sync::SpinLock;

/// `/proc/sys/kernel/msgmax`: bytes of a message.
pub(crate) static MAX_MESSAGE: AtomicU64 = AtomicU64::new(8192);
/// `/proc/sys/kernel/msgmnb`: bytes of a queue, at first.
pub(crate) static MAX_BYTES: AtomicU64 = AtomicU64::new(16384);
/// `/proc/sys/kernel/msgmni`: queues.
pub(crate) static MAX_QUEUES: AtomicU64 = AtomicU64::new(32000);

/// Bytes of `struct msqid64_ds` and `struct msginfo`.
pub(crate) const DS_SIZE: usize = 120;
pub(crate) const INFO_SIZE: usize = 32;

/// A queue.
pub(crate) struct Queue {
    perm: SpinLock<Perm>,
    state: SpinLock<State>,
    senders: WaitQueue,
    receivers: WaitQueue,
}

struct State {
    messages: MsgQueue,
    stat: Stat,
    removed: bool,
}

/// What is told of a queue.
#[derive(Clone, Copy, Default)]
pub(super) struct Stat {
    pub(super) max_bytes: u64,
    pub(super) sent: i64,
    pub(super) received: i64,
    pub(super) changed: i64,
    pub(super) sender: u32,
    pub(super) receiver: u32,
    /// Bytes and messages in it now.
    pub(super) bytes: u64,
    pub(super) count: usize,
}

pub(super) static QUEUES: Table<Queue> = SpinLock::new(Ids::new());

impl Object for Queue {
    fn perm(&self) -> &SpinLock<Perm> {
        &self.perm
    }

    fn entered(&self, _: i32) {}
}

/// msgget(2).
///
/// # Errors
/// As there.
pub(crate) fn get(key: i32, flags: u32, creds: &Credentials) -> Result<i32, Errno> {
    let max = usize_of(MAX_QUEUES.load(Ordering::Relaxed));
    super::get(
        &QUEUES,
        key,
        flags,
        creds,
        max,
        |_| Ok(()),
        |perm| {
            try_arc(Queue {
                perm: SpinLock::new(perm),
                state: SpinLock::new(State {
                    messages: MsgQueue::default(),
                    stat: Stat {
                        max_bytes: MAX_BYTES.load(Ordering::Relaxed),
                        changed: super::now(),
                        ..Stat::default()
                    },
                    removed: false,
                }),
                senders: WaitQueue::new(),
                receivers: WaitQueue::new(),
            })
        },
    )
}

impl Queue {
    pub(super) fn stat(&self) -> Stat {
        let state = self.state.lock();
        Stat {
            bytes: state.messages.bytes(),
            count: state.messages.len(),
            ..state.stat
        }
    }

    fn check(&self, flags: u32, creds: &Credentials) -> Result<(), Errno> {
        let perm = *self.perm.lock();
        perm.check(flags, creds)
    }

    /// Tries until `attempt` has a result, or once with `IPC_NOWAIT`.
    fn wait<T>(
        &self,
        queue: &WaitQueue,
        flags: u32,
        empty: Errno,
        mut attempt: impl FnMut(&mut State) -> Option<Result<T, Errno>>,
    ) -> Result<T, Errno> {
        let attempt = || {
            let mut state = self.state.lock();
            if state.removed {
                return Some(Err(Errno::EIDRM));
            }
            attempt(&mut state)
        };
        if flags & NOWAIT != 0 {
            let mut attempt = attempt;
            return attempt().unwrap_or(Err(empty));
        }
        queue
            .wait(Mode::Interruptible, None, attempt)
            .unwrap_or(Err(Errno::ERESTARTNOHAND))
    }
}

/// msgsnd(2).
///
/// # Errors
/// As there.
pub(crate) fn send(
    id: i32,
    message: Message,
    flags: u32,
    pid: u32,
    creds: &Credentials,
) -> Result<(), Errno> {
    let queue = super::find(&QUEUES, id)?;
    queue.check(0o222, creds)?;
    let now = super::now();
    let mut message = Some(message);
    queue.wait(&queue.senders, flags, Errno::EAGAIN, |state| {
        let len = message.as_ref().map_or(0, |message| message.text.len());
        if !state.messages.has_room(len, state.stat.max_bytes) {
            return None;
        }
        if let Err(back) = state.messages.push(message.take()?) {
            message = Some(back);
            return Some(Err(Errno::ENOMEM));
        }
        (state.stat.sent, state.stat.sender) = (now, pid);
        Some(Ok(()))
    })?;
    queue.receivers.wake_all();
    Ok(())
}

/// msgrcv(2), for `room` bytes.
///
/// # Errors
/// As there.
pub(crate) fn receive(
    id: i32,
    kind: i64,
    room: usize,
    flags: u32,
    pid: u32,
    creds: &Credentials,
) -> Result<Message, Errno> {
    if flags & COPY != 0 && (flags & EXCEPT != 0 || flags & NOWAIT == 0) {
        return Err(Errno::EINVAL);
    }
    let queue = super::find(&QUEUES, id)?;
    queue.check(0o444, creds)?;
    let now = super::now();
    let wanted = Wanted::new(kind, flags);
    let message = queue.wait(&queue.receivers, flags, Errno::ENOMSG, |state| {
        let taken = state.messages.take(wanted, room, flags & NOERROR != 0)?;
        if taken.is_ok() && flags & COPY == 0 {
            (state.stat.received, state.stat.receiver) = (now, pid);
        }
        Some(taken)
    })?;
    queue.senders.wake_all();
    Ok(message)
}

/// `IPC_INFO` and `MSG_INFO`: the highest slot, and `struct msginfo`.
pub(crate) fn info(used: bool) -> (i32, [u8; INFO_SIZE]) {
    let ids = QUEUES.lock();
    let highest = i32::try_from(ids.highest()).unwrap_or(0);
    let (mut at, mut messages, mut bytes) = (0, 0, 0);
    while let Some((slot, _, queue)) = ids.next(at) {
        let stat = queue.stat();
        messages += u64_of(stat.count);
        bytes += stat.bytes;
        at = slot + 1;
    }
    let count = u64_of(ids.len());
    drop(ids);
    let [max, most, queues] =
        [&MAX_MESSAGE, &MAX_BYTES, &MAX_QUEUES].map(|it| it.load(Ordering::Relaxed));
    let (pool, map, all) = if used {
        (count, messages, bytes)
    } else {
        (queues * most / 1024, most, most)
    };
    // `MSGSSZ`, and `MSGSEG`, which has two bytes.
    let words = [pool, map, max, most, queues, 16, all, 0xFFFF].map(low32);
    let mut out = [0; INFO_SIZE];
    for (place, word) in out.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    (highest, out)
}

/// `IPC_STAT` and, by slot, `MSG_STAT` and `MSG_STAT_ANY`.
pub(crate) fn stat(
    id: i32,
    by_slot: bool,
    any: bool,
    creds: &Credentials,
) -> Result<(i32, [u8; DS_SIZE]), Errno> {
    let (id, queue) = super::find_to_show(&QUEUES, id, by_slot, any, creds)?;
    let (perm, stat) = (*queue.perm.lock(), queue.stat());
    let words = [
        stat.sent.cast_unsigned(),
        stat.received.cast_unsigned(),
        stat.changed.cast_unsigned(),
        stat.bytes,
        u64_of(stat.count),
        stat.max_bytes,
        super::pair(stat.sender, stat.receiver),
    ];
    let bytes = super::with_perm(&perm, id, &words);
    Ok((if by_slot { id } else { 0 }, bytes))
}

/// `IPC_SET`; `max_bytes` is the queue's new size.
pub(crate) fn set(
    id: i32,
    new: &[u8; PERM_SIZE],
    max_bytes: u64,
    creds: &Credentials,
) -> Result<(), Errno> {
    let queue = super::find_own(&QUEUES, id, creds)?;
    let most = MAX_BYTES.load(Ordering::Relaxed);
    if max_bytes > most && !creds.has(abi::CAP_SYS_RESOURCE) {
        return Err(Errno::EPERM);
    }
    queue.perm.lock().set(new)?;
    let now = super::now();
    let mut state = queue.state.lock();
    (state.stat.max_bytes, state.stat.changed) = (max_bytes, now);
    drop(state);
    queue.senders.wake_all();
    Ok(())
}

/// `IPC_RMID`.
pub(crate) fn remove(id: i32, creds: &Credentials) -> Result<(), Errno> {
    let queue = super::find_own(&QUEUES, id, creds)?;
    let removed = QUEUES.lock().remove(id);
    drop(removed);
    let mut state = queue.state.lock();
    state.removed = true;
    let messages = core::mem::take(&mut state.messages);
    drop(state);
    drop(messages);
    queue.senders.wake_all();
    queue.receivers.wake_all();
    Ok(())
}
