//! [`Credentials`]: who a task is and what it may do, and the rules by which the setuid family,
//! capset and exec change that (credentials(7), capabilities(7)).
//!
//! The kernel shares them as `Arc<Credentials>` and never changes one in place: a call makes a
//! new one. File permissions are decided in `fs`, from `fsuid`, `fsgid`, `groups` and
//! [`Credentials::has`].
//!
//! Here is who somebody is and what exec makes of it; [`ids`] has setuid's family, [`caps`] capabilities and
//! securebits.

mod caps;
mod ids;

use crate::abi;
use crate::errno::Errno;
use alloc::vec::Vec;

pub use caps::{CapSet, Caps};
use caps::{KEEP_CAPS, NOROOT};
pub use ids::Ids;

/// Who a task is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Credentials {
    /// User ids.
    pub uids: Ids,
    /// Group ids.
    pub gids: Ids,
    /// Supplementary groups, sorted.
    pub groups: Vec<u32>,
    /// Capabilities.
    pub caps: Caps,
    /// `SECBIT_*`.
    pub securebits: u32,
}

impl Credentials {
    /// Those of a user who logs in: all capabilities when it is root, else none.
    #[must_use]
    pub fn new(uid: u32, gid: u32) -> Self {
        let held = if uid == 0 {
            CapSet::FULL
        } else {
            CapSet::EMPTY
        };
        Self {
            uids: Ids::all(uid),
            gids: Ids::all(gid),
            groups: Vec::new(),
            caps: Caps {
                effective: held,
                permitted: held,
                inheritable: CapSet::EMPTY,
                bounding: CapSet::FULL,
                ambient: CapSet::EMPTY,
            },
            securebits: 0,
        }
    }

    /// A copy, when there is memory for its groups.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn try_clone(&self) -> Result<Self, Errno> {
        let mut groups = Vec::new();
        groups
            .try_reserve_exact(self.groups.len())
            .map_err(|_| Errno::ENOMEM)?;
        groups.extend_from_slice(&self.groups);
        Ok(Self {
            groups,
            uids: self.uids,
            gids: self.gids,
            caps: self.caps,
            securebits: self.securebits,
        })
    }

    /// Whether a capability is effective.
    #[must_use]
    pub const fn has(&self, cap: u32) -> bool {
        self.caps.effective.contains(cap)
    }

    /// Whether the group is the file system group or a supplementary one.
    #[must_use]
    pub fn in_group(&self, gid: u32) -> bool {
        self.gids.fs == gid || self.groups.binary_search(&gid).is_ok()
    }

    /// Whether it may send signals to a task with these credentials (kill(2)).
    #[must_use]
    pub const fn may_signal(&self, target: &Self) -> bool {
        let (from, to) = (&self.uids, &target.uids);
        from.effective == to.saved
            || from.effective == to.real
            || from.real == to.saved
            || from.real == to.real
            || self.has(abi::CAP_KILL)
    }

    /// What exec makes of them for a file whose set-id bits ask for this user and group.
    /// The second value is `AT_SECURE`: the program got rights its caller hadn't.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn for_exec(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(Self, bool), Errno> {
        let mut new = self.try_clone()?;
        new.uids.effective = uid.unwrap_or(new.uids.effective);
        new.gids.effective = gid.unwrap_or(new.gids.effective);
        new.uids.saved = new.uids.effective;
        new.uids.fs = new.uids.effective;
        new.gids.saved = new.gids.effective;
        new.gids.fs = new.gids.effective;
        let set_id = new.uids.effective != new.uids.real || new.gids.effective != new.gids.real;
        let root = self.securebits & NOROOT == 0;
        let mut gained = CapSet::EMPTY;
        if root && (new.uids.effective == 0 || new.uids.real == 0) {
            gained = new.caps.bounding.union(new.caps.inheritable);
        }
        let effective_root = root && new.uids.effective == 0;
        if set_id {
            new.caps.ambient = CapSet::EMPTY;
        }
        new.caps.permitted = gained.union(new.caps.ambient);
        new.caps.effective = if effective_root {
            new.caps.permitted
        } else {
            new.caps.ambient
        };
        new.securebits &= !KEEP_CAPS;
        let secure = set_id || (new.uids.real != 0 && effective_root);
        Ok((new, secure))
    }
}

#[cfg(test)]
mod tests;
