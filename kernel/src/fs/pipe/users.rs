//! What the pipes of each user may hold together (pipe(7), "/proc files").

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::fs::perm::{Capability, Identity};
use kiln_core::num::u64_of;

use crate::fs::memory::try_push;
use crate::sync::SpinLock;

/// Pages beyond which a user gets small pipes (`/proc/sys/fs/pipe-user-pages-soft`); 0: large ones.
pub(crate) static MANY_PAGES: AtomicU64 = AtomicU64::new(16384);
/// Pages beyond which a user gets no pipes (`/proc/sys/fs/pipe-user-pages-hard`); 0: as many as they want.
pub(crate) static MOST_PAGES: AtomicU64 = AtomicU64::new(0);

/// What a pipe beyond the first limit holds (`PIPE_MIN_DEF_BUFFERS` of Linux's fs/pipe.c).
const SMALL: u64 = u64_of(2 * PAGE_SIZE);

/// Users that have pipes, and the bytes of these.
static USERS: SpinLock<Vec<(u32, u64)>> = SpinLock::new(Vec::new());

/// What a pipe counts for.
pub(super) struct Share {
    user: u32,
    size: AtomicU64,
}

impl Share {
    /// What a pipe of `size` bytes is to count for, or a smaller one; `full` when there may be none.
    pub(super) fn new(who: &Identity<'_>, size: u64, full: Errno) -> Result<Self, Errno> {
        let share = Self {
            user: who.user,
            size: AtomicU64::new(0),
        };
        let mut all = share.count(size)?;
        if exceeds(all, &MANY_PAGES) && is_bounded(who) {
            all = share.count(SMALL)?;
        }
        if exceeds(all, &MOST_PAGES) && is_bounded(who) {
            return Err(full);
        }
        Ok(share)
    }

    /// The bytes that it counts for.
    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// Has it count for more; EPERM when its user has too much already.
    pub(super) fn grow(&self, who: &Identity<'_>, size: u64) -> Result<(), Errno> {
        let before = self.size();
        let all = self.count(size)?;
        if (exceeds(all, &MANY_PAGES) || exceeds(all, &MOST_PAGES)) && is_bounded(who) {
            self.count(before)?;
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// Has it count for `size` bytes; answers all that its user has then.
    pub(super) fn count(&self, size: u64) -> Result<u64, Errno> {
        let mut users = USERS.lock();
        let at = users.iter().position(|(user, _)| *user == self.user);
        if at.is_none() {
            try_push(&mut users, (self.user, 0))?;
        }
        let at = at.unwrap_or(users.len() - 1);
        let Some((_, all)) = users.get_mut(at) else {
            return Err(Errno::ENOMEM);
        };
        *all = *all - self.size.swap(size, Ordering::Relaxed) + size;
        let all = *all;
        if all == 0 {
            users.swap_remove(at);
        }
        Ok(all)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // What is there needs no memory.
        let _ = self.count(0);
    }
}

fn exceeds(bytes: u64, pages: &AtomicU64) -> bool {
    let pages = pages.load(Ordering::Relaxed);
    pages != 0 && bytes / u64_of(PAGE_SIZE) > pages
}

/// Whether the limits are for them.
fn is_bounded(who: &Identity<'_>) -> bool {
    !who.can(Capability::SysResource) && !who.can(Capability::SysAdmin)
}
