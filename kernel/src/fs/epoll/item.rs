//! A file that an epoll file watches: [`Item`].

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kiln_core::abi;
use kiln_core::errno::Errno;

use super::ready::Ready;
use super::{Interest, MODES};
use crate::fs::file::{Events, File, Watch};
use crate::sched::WakeTarget;

/// A file that is watched.
pub(super) struct Item {
    pub(super) file: Weak<File>,
    events: AtomicU32,
    data: AtomicU64,
    ready: Arc<Ready>,
    /// Whether it is in the ready list, whose lock protects this.
    pub(super) queued: AtomicBool,
}

impl WakeTarget for Item {
    fn woken(self: Arc<Self>) {
        self.ready.push(&self);
    }
}

impl Item {
    pub(super) fn new(file: &Arc<File>, interest: Interest, ready: &Arc<Ready>) -> Self {
        Self {
            file: Arc::downgrade(file),
            events: AtomicU32::new(interest.events),
            data: AtomicU64::new(interest.data),
            ready: Arc::clone(ready),
            queued: AtomicBool::new(false),
        }
    }

    pub(super) fn interest(&self) -> Interest {
        Interest {
            events: self.events.load(Ordering::Acquire),
            data: self.data.load(Ordering::Acquire),
        }
    }

    pub(super) fn set_interest(&self, interest: Interest) {
        self.data.store(interest.data, Ordering::Release);
        self.events.store(interest.events, Ordering::Release);
    }

    /// Nothing is wanted of it any more, or not until it is changed: it has had its one shot.
    pub(super) fn switch_off(&self) {
        self.events.store(abi::EPOLLONESHOT, Ordering::Release);
    }

    pub(super) fn is_off(&self) -> bool {
        let events = self.events.load(Ordering::Acquire);
        events & !MODES == 0 && events & abi::EPOLLONESHOT != 0
    }

    /// Hands the item's state to `emit` if it is ready, and whether it is.
    pub(super) fn tell(
        self: &Arc<Self>,
        emit: impl FnOnce(Interest) -> Result<(), Errno>,
    ) -> Result<bool, Errno> {
        let mut state = Events::empty();
        if let Some(file) = self.file.upgrade() {
            state = self.state(&file, None);
            // Still in the list, so that a wake-up since that look changed nothing: off it, and looked at again.
            if state.is_empty() && self.ready.remove(self) {
                state = self.state(&file, None);
                if !state.is_empty() {
                    self.ready.list.lock().push(self);
                }
            }
        } else {
            self.ready.remove(self);
        }
        if state.is_empty() {
            return Ok(false);
        }
        let Interest { events, data } = self.interest();
        emit(Interest {
            events: state.bits(),
            data,
        })?;
        if events & abi::EPOLLONESHOT != 0 {
            self.switch_off();
        }
        Ok(true)
    }

    /// Whether it is told of as long as it is ready.
    pub(super) fn is_level_triggered(&self) -> bool {
        self.events.load(Ordering::Acquire) & (abi::EPOLLONESHOT | abi::EPOLLET) == 0
    }

    /// The states of `file` that are wanted; errors and hang-ups always are, unless the item is off.
    pub(super) fn state(&self, file: &Arc<File>, watch: Option<&mut dyn Watch>) -> Events {
        let wanted = self.interest().events & !MODES;
        let state = file.ops.poll(file, watch);
        if self.is_off() {
            return Events::empty();
        }
        state & (Events::from_bits_truncate(wanted) | Events::ERR | Events::HUP)
    }
}
