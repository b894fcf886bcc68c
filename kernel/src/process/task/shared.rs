//! What a [`Task`] shares with others, and its credentials: the task's own ([`Shared`]), and what its thread holds of
//! it for its calls ([`Held`]).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;

use super::Task;
use crate::fs::{FdTable, FsContext};
use crate::mm::kmem;
use crate::process::events;
use crate::sched::NOTIFY_SHARED;
use crate::vm::AddressSpace;

/// What tasks share with each other; empty once the task has ended.
#[derive(Clone, Default)]
pub(in crate::process) struct Shared {
    pub(in crate::process) space: Option<Arc<AddressSpace>>,
    pub(in crate::process) files: Option<Arc<FdTable>>,
    pub(in crate::process) fs: Option<Arc<FsContext>>,
}

/// What a running thread holds of its task's, so that its calls need neither locks nor counts for it.
/// Given back before the thread ends, and taken anew when the task got something else ([`NOTIFY_SHARED`]).
pub(crate) struct Held {
    /// The address space.
    pub(crate) space: Arc<AddressSpace>,
    /// The open files.
    pub(crate) files: Arc<FdTable>,
    /// Root, working directory and umask.
    pub(crate) fs: Arc<FsContext>,
    /// Who it is.
    pub(crate) creds: Arc<Credentials>,
}

impl Task {
    /// Its address space.
    ///
    /// # Errors
    /// `ESRCH` once the task has ended; also for the three that follow.
    pub(crate) fn space(&self) -> Result<Arc<AddressSpace>, Errno> {
        self.shared.lock().space.clone().ok_or(Errno::ESRCH)
    }

    /// Its open files.
    pub(crate) fn files(&self) -> Result<Arc<FdTable>, Errno> {
        self.shared.lock().files.clone().ok_or(Errno::ESRCH)
    }

    /// Its root, working directory and umask.
    pub(crate) fn fs(&self) -> Result<Arc<FsContext>, Errno> {
        self.shared.lock().fs.clone().ok_or(Errno::ESRCH)
    }

    /// All of it and its credentials, for its thread to hold; `None` once the task has ended.
    pub(crate) fn hold(&self) -> Option<Held> {
        let Shared { space, files, fs } = self.shared();
        Some(Held {
            space: space?,
            files: files?,
            fs: fs?,
            creds: self.creds(),
        })
    }

    /// Everything it shares.
    pub(in crate::process) fn shared(&self) -> Shared {
        self.shared.lock().clone()
    }

    /// Puts other shared things in place and gives the old ones back, for dropping outside.
    pub(in crate::process) fn replace_shared(
        &self,
        change: impl FnOnce(&mut Shared) -> Shared,
    ) -> Shared {
        let old = change(&mut self.shared.lock());
        self.note_change();
        old
    }

    /// What its thread holds isn't what it has any more.
    fn note_change(&self) {
        if let Some(thread) = self.thread() {
            thread.note(NOTIFY_SHARED);
        }
    }

    /// Who it is.
    pub(crate) fn creds(&self) -> Arc<Credentials> {
        Arc::clone(&self.creds.lock())
    }

    /// Changes who it is: `change` works on a copy, which counts when it succeeds.
    ///
    /// # Errors
    /// Those of `change`, and `ENOMEM`.
    pub(crate) fn change_creds<R>(
        &self,
        change: impl FnOnce(&mut Credentials) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let mut creds = self.creds().try_clone()?;
        let result = change(&mut creds)?;
        self.set_creds(creds)?;
        Ok(result)
    }

    pub(in crate::process) fn set_creds(&self, creds: Credentials) -> Result<(), Errno> {
        let _charge = kmem::charge(size_of::<Credentials>() + 16)?;
        let creds = Arc::new(creds);
        let now = Arc::clone(&creds);
        let old = core::mem::replace(&mut *self.creds.lock(), creds);
        self.note_change();
        events::changed(self, &old, &now);
        Ok(())
    }

    /// Changes its ids or capabilities. A program that does so can't be inspected by others of
    /// its new user, and learns no more of its parent's death (`commit_creds`).
    ///
    /// # Errors
    /// Those of `change`, and `ENOMEM`.
    pub(crate) fn change_ids<R>(
        &self,
        change: impl FnOnce(&mut Credentials) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let before = self.creds();
        let result = self.change_creds(change)?;
        let now = self.creds();
        let effective = |creds: &Credentials| {
            let (uids, gids) = (creds.uids, creds.gids);
            (uids.effective, uids.fs, gids.effective, gids.fs)
        };
        if effective(&before) != effective(&now) {
            self.process.dumpable.store(0, Ordering::Relaxed);
            self.parent_death_signal.store(0, Ordering::Relaxed);
        }
        self.process.uid.store(now.uids.real, Ordering::Relaxed);
        Ok(result)
    }
}
