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

pub use caps::{CapSet, Caps, FileCaps};
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

    /// What exec makes of them (capabilities(7), "Transformation of capabilities during execve()"). `no_new`: the
    /// caller has said that it wants no more rights; `watched`: somebody looks over its shoulder who mayn't see it
    /// gain any, which is asked only when it would.
    ///
    /// # Errors
    /// `EPERM` when the file wants capabilities that it can't have, `ENOMEM`.
    pub fn for_exec(
        &self,
        file: &FileRights,
        no_new: bool,
        watched: &dyn Fn() -> bool,
    ) -> Result<(Self, ExecEffect), Errno> {
        let mut new = self.try_clone()?;
        if !no_new {
            new.uids.effective = file.uid.unwrap_or(new.uids.effective);
            new.gids.effective = file.gid.unwrap_or(new.gids.effective);
        }
        let (mut permitted, effective) = new.of_file(file.caps)?;
        let set_id = new.uids.effective != self.uids.real || new.gids.effective != self.gids.real;
        let gains = set_id || !permitted.is_within(self.caps.permitted);
        if gains && (no_new || watched()) {
            if no_new || !self.has(abi::CAP_SETUID) {
                new.uids.effective = new.uids.real;
                new.gids.effective = new.gids.real;
            }
            permitted = permitted.intersection(self.caps.permitted);
        }
        for ids in [&mut new.uids, &mut new.gids] {
            (ids.saved, ids.fs) = (ids.effective, ids.effective);
        }
        if set_id || file.caps.is_some() {
            new.caps.ambient = CapSet::EMPTY;
        }
        let ambient = new.caps.ambient;
        permitted = permitted.union(ambient);
        new.caps.permitted = permitted;
        new.caps.effective = if effective { permitted } else { ambient };
        new.securebits &= !KEEP_CAPS;
        let grown = effective || !permitted.is_within(ambient);
        let same = |own: Ids, new: Ids| {
            [own.real, own.fs, new.effective] == [own.effective, new.fs, own.effective]
        };
        let effect = ExecEffect {
            secure: set_id || new.uids.real != 0 && grown,
            private: !same(self.uids, new.uids)
                || !same(self.gids, new.gids)
                || !permitted.is_within(self.caps.permitted),
        };
        Ok((new, effect))
    }

    /// The capabilities that a file may pass on, and whether they become effective.
    fn of_file(&self, caps: Option<FileCaps>) -> Result<(CapSet, bool), Errno> {
        let (mut permitted, mut effective) = (CapSet::EMPTY, false);
        if let Some(caps) = caps {
            let inherited = self.caps.inheritable.intersection(caps.inheritable);
            permitted = self
                .caps
                .bounding
                .intersection(caps.permitted)
                .union(inherited);
            effective = caps.effective;
            if effective && !caps.permitted.is_within(permitted) {
                return Err(Errno::EPERM);
            }
        }
        let (is_root, was_root) = (self.uids.effective == 0, self.uids.real == 0);
        // A set-user-ID program of root's with capabilities of its own has these alone.
        let own_alone = caps.is_some() && is_root && !was_root;
        if self.securebits & NOROOT == 0 && !own_alone {
            if is_root || was_root {
                permitted = self.caps.bounding.union(self.caps.inheritable);
            }
            effective |= is_root;
        }
        Ok((permitted, effective))
    }
}

/// What a program's file gives to whoever runs it.
#[derive(Clone, Copy, Default, Debug)]
pub struct FileRights {
    /// The user whom its set-user-ID bit asks for.
    pub uid: Option<u32>,
    /// As `uid`.
    pub gid: Option<u32>,
    /// Its capabilities.
    pub caps: Option<FileCaps>,
}

/// What exec does beside changing credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExecEffect {
    /// `AT_SECURE`: the program got rights its caller hadn't.
    pub secure: bool,
    /// Others of its user mayn't look into it.
    pub private: bool,
}

#[cfg(test)]
mod tests;
