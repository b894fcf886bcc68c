//! Signals of open files (fcntl(2), "Managing signals"): who is told ([`Owner`]), and which files of
//! a pipe, socket or terminal have asked for it with `O_ASYNC` ([`AsyncList`]). Leases and
//! directory notices use the same owner.
//!
//! Signals are the business of a room above, which hands its side down ([`set_sender`]).

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use kiln_core::abi;
use kiln_core::errno::Errno;

use super::file::File;
use super::memory::try_push;
use crate::sync::{Once, SpinLock};

/// Whom a number means.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Whom {
    /// Nobody yet.
    #[default]
    Nobody,
    /// One thread (`F_OWNER_TID`).
    Thread(u32),
    /// A process.
    Process(u32),
    /// A process group.
    Group(u32),
}

/// Who is told, and how.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Owner {
    /// Whom.
    pub(crate) whom: Whom,
    /// The real and the effective user who said so: the signal is sent with their rights.
    pub(crate) uid: u32,
    pub(crate) euid: u32,
    /// Which signal (`F_SETSIG`); 0: SIGIO without a story.
    pub(crate) signal: u8,
}

impl Owner {
    /// As `F_GETOWN` says it: a group's number is negative.
    pub(crate) fn number(&self) -> i64 {
        match self.whom {
            Whom::Nobody => 0,
            Whom::Thread(number) | Whom::Process(number) => number.into(),
            Whom::Group(number) => -i64::from(number),
        }
    }
}

/// What the process room does here.
#[derive(Clone, Copy)]
pub(crate) struct Hooks {
    /// Sends the owner's signal, about a descriptor, for a reason (`POLL_IN`, …).
    pub(crate) send: fn(&Owner, i32, u32),
    /// The caller's process as an owner.
    pub(crate) caller: fn() -> Owner,
}

static HOOKS: Once<Hooks> = Once::new();

/// Makes the process room known.
pub(crate) fn set_hooks(hooks: Hooks) {
    HOOKS.call_once(|| hooks);
}

/// Tells the owner of an open file. No lock is held.
pub(super) fn send(file: &File, fd: i32, reason: u32) {
    if let Some(hooks) = HOOKS.get() {
        let owner = *file.owner().lock();
        (hooks.send)(&owner, fd, reason);
    }
}

/// Makes the calling process the owner of a file that has none.
pub(super) fn own(file: &File) {
    if let Some(hooks) = HOOKS.get() {
        own_as(file, (hooks.caller)());
    }
}

/// Makes somebody the owner of a file that has none.
pub(super) fn own_as(file: &File, wanted: Owner) {
    let mut owner = file.owner().lock();
    if owner.whom == Whom::Nobody {
        let signal = owner.signal;
        *owner = Owner { signal, ..wanted };
    }
}

/// The calling process as an owner.
pub(super) fn caller() -> Owner {
    HOOKS
        .get()
        .map_or_else(Owner::default, |hooks| (hooks.caller)())
}

/// Open files whose owners are told of one kind of event.
#[derive(Default)]
pub(crate) struct AsyncList {
    any: AtomicBool,
    list: SpinLock<Vec<(Weak<File>, i32)>>,
}

impl AsyncList {
    /// Nobody.
    pub(crate) const fn new() -> Self {
        Self {
            any: AtomicBool::new(false),
            list: SpinLock::new(Vec::new()),
        }
    }

    /// Puts a file in, as descriptor `fd`, or takes it out. Those that are gone are forgotten.
    fn set(&self, file: &Arc<File>, fd: i32, on: bool) -> Result<(), Errno> {
        let mut list = self.list.lock();
        list.retain(|(other, _)| {
            other.strong_count() > 0 && !core::ptr::eq(other.as_ptr(), Arc::as_ptr(file))
        });
        let added = if on {
            try_push(&mut list, (Arc::downgrade(file), fd))
        } else {
            Ok(())
        };
        self.any.store(!list.is_empty(), Ordering::Release);
        added
    }

    /// Something happened: the owners are told. No lock is held.
    #[inline]
    pub(crate) fn tell(&self, reason: u32) {
        if self.any.load(Ordering::Acquire) {
            self.tell_all(reason);
        }
    }

    #[cold]
    fn tell_all(&self, reason: u32) {
        for at in 0.. {
            let next = {
                let list = self.list.lock();
                list.get(at).map(|(file, fd)| (file.upgrade(), *fd))
            };
            match next {
                Some((Some(file), fd)) => send(&file, fd, reason),
                Some((None, _)) => {}
                None => return,
            }
        }
    }
}

/// Sets or clears `O_ASYNC` of an open file, whose descriptor is `fd`; ENOTTY where nothing is ever told
/// so.
pub(crate) fn set_async(file: &Arc<File>, fd: i32, on: bool) -> Result<(), Errno> {
    if file.has(abi::FASYNC) != on {
        let lists = file.ops.async_lists();
        if lists.iter().all(Option::is_none) {
            return Err(Errno::ENOTTY);
        }
        for list in lists.into_iter().flatten() {
            list.set(file, fd, on)?;
        }
        if on {
            file.ops.async_owner(file);
        }
        file.set_flag(abi::FASYNC, on);
    }
    Ok(())
}
