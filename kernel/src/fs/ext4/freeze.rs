//! `FIFREEZE` and `FITHAW`: a file system that stands still, whole on its disk, while somebody copies that.
//!
//! Whoever is about to change something waits ([`Volume::change`]); what is read goes on. First new changes are held up,
//! then what is in memory is written, then the core lets go of the disk, as at the end.

use core::sync::atomic::{AtomicU8, Ordering};
use kiln_core::errno::Errno;
use kiln_core::fs::ext4::{Error, Ext4};

use super::disk::Disk;
use super::{Volume, now};
use crate::sched::{Mode, MutexGuard, WaitQueue};
use crate::vm::writeback;

/// How far a file system is on its way.
#[derive(Default)]
pub(super) struct Freeze {
    state: AtomicU8,
    thawed: WaitQueue,
}

/// Everything goes on.
const THAWED: u8 = 0;
/// What is in memory is being written.
const FREEZING: u8 = 1;
/// Nothing is written any more; it could be before.
const FROZEN: u8 = 2;
/// The same of one that was mounted for reading.
const FROZEN_READ_ONLY: u8 = 3;

/// How often what is in memory is written at most.
const PASSES: usize = 100;

impl Freeze {
    fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    /// Waits until the state is below `state`; EINTR when the caller is to end.
    #[cold]
    fn wait(&self, state: u8) -> Result<(), Errno> {
        let ready = || (self.state() < state).then_some(());
        (self.thawed.wait(Mode::Killable, None, ready)).map_err(|_| Errno::EINTR)
    }
}

impl Volume {
    /// Whether what has changed mustn't go to the disk now.
    pub(super) fn is_frozen(&self) -> bool {
        self.freeze.state() >= FROZEN
    }

    /// Waits while the file system is frozen, or about to be.
    pub(super) fn wait_thawed(&self) -> Result<(), Errno> {
        match self.freeze.state() {
            THAWED => Ok(()),
            _ => self.freeze.wait(FREEZING),
        }
    }

    /// The same of what was changed before.
    pub(super) fn wait_writable(&self) -> Result<(), Errno> {
        match self.freeze.state() {
            THAWED | FREEZING => Ok(()),
            _ => self.freeze.wait(FROZEN),
        }
    }

    /// The core, to change something: not while it is frozen.
    pub(super) fn change(&self) -> Result<MutexGuard<'_, Ext4<Disk>>, Errno> {
        loop {
            self.wait_thawed()?;
            let core = self.core.lock();
            if self.freeze.state() == THAWED {
                return Ok(core);
            }
        }
    }

    /// `FIFREEZE`
    pub(super) fn freeze(&self) -> Result<(), Errno> {
        let state = &self.freeze.state;
        (state.compare_exchange(THAWED, FREEZING, Ordering::AcqRel, Ordering::Acquire))
            .map_err(|_| Errno::EBUSY)?;
        let done = self.stand_still();
        state.store(done.unwrap_or(THAWED), Ordering::Release);
        if done.is_err() {
            self.freeze.thawed.wake_all();
        }
        done.map(|_| ())
    }

    fn stand_still(&self) -> Result<u8, Errno> {
        // Who writes to a page that is on its way isn't asked again whether it may: such pages go once more.
        for _ in 0..PASSES {
            writeback::sync_everything()?;
            self.sync()?;
            let mut dirty = false;
            self.for_each_file(|pages| {
                dirty |= pages
                    .mapping()
                    .is_some_and(|mapping| mapping.dirty_pages() > 0);
            });
            if !dirty {
                break;
            }
        }
        let mut core = self.core.lock();
        if !core.is_writable() {
            return Ok(FROZEN_READ_ONLY);
        }
        core.finish(now()).map_err(Error::errno)?;
        Ok(FROZEN)
    }

    /// `FITHAW`
    pub(super) fn thaw(&self) -> Result<(), Errno> {
        let mut core = self.core.lock();
        match self.freeze.state() {
            FROZEN => core.allow_writing(now()).map_err(Error::errno)?,
            FROZEN_READ_ONLY => {}
            _ => return Err(Errno::EINVAL),
        }
        self.freeze.state.store(THAWED, Ordering::Release);
        drop(core);
        self.freeze.thawed.wake_all();
        Ok(())
    }
}
