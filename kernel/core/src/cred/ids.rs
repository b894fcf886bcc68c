//! User and group ids ([`Ids`]), and how setuid(2) and its family change them (credentials(7)).

use crate::sort;
use alloc::vec::Vec;

use super::Credentials;
use super::caps::{CapSet, KEEP_CAPS, NO_SETUID_FIXUP};
use crate::abi;
use crate::errno::Errno;

/// "Leave it": an id of -1 in setreuid and its like.
pub(super) const KEEP: u32 = u32::MAX;

/// Real, effective, saved and file system id, of users or of groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ids {
    /// Real.
    pub real: u32,
    /// Effective.
    pub effective: u32,
    /// Saved.
    pub saved: u32,
    /// For files.
    pub fs: u32,
}

impl Ids {
    /// All four alike.
    #[must_use]
    pub const fn all(id: u32) -> Self {
        Self {
            real: id,
            effective: id,
            saved: id,
            fs: id,
        }
    }

    const fn is_known(&self, id: u32) -> bool {
        id == self.real || id == self.effective || id == self.saved
    }

    /// setuid(2), setgid(2).
    fn set(self, id: u32, privileged: bool) -> Result<Self, Errno> {
        if id == KEEP {
            return Err(Errno::EINVAL);
        }
        if privileged {
            return Ok(Self::all(id));
        }
        if id != self.real && id != self.saved {
            return Err(Errno::EPERM);
        }
        Ok(Self {
            effective: id,
            fs: id,
            ..self
        })
    }

    /// setreuid(2), setregid(2).
    fn set_re(self, real: u32, effective: u32, privileged: bool) -> Result<Self, Errno> {
        let mut new = self;
        if real != KEEP {
            if real != self.real && real != self.effective && !privileged {
                return Err(Errno::EPERM);
            }
            new.real = real;
        }
        if effective != KEEP {
            if !self.is_known(effective) && !privileged {
                return Err(Errno::EPERM);
            }
            new.effective = effective;
        }
        if real != KEEP || (effective != KEEP && effective != self.real) {
            new.saved = new.effective;
        }
        new.fs = new.effective;
        Ok(new)
    }

    /// setresuid(2), setresgid(2).
    fn set_res(self, ids: [u32; 3], privileged: bool) -> Result<Self, Errno> {
        if !privileged && ids.iter().any(|id| *id != KEEP && !self.is_known(*id)) {
            return Err(Errno::EPERM);
        }
        let [real, effective, saved] = ids;
        let pick = |id, old| if id == KEEP { old } else { id };
        let effective = pick(effective, self.effective);
        Ok(Self {
            real: pick(real, self.real),
            effective,
            saved: pick(saved, self.saved),
            fs: effective,
        })
    }
}

impl Credentials {
    /// setuid(2).
    ///
    /// # Errors
    /// `EINVAL`, `EPERM`.
    pub fn set_uid(&mut self, uid: u32) -> Result<(), Errno> {
        let new = self.uids.set(uid, self.has(abi::CAP_SETUID))?;
        self.change_uids(new);
        Ok(())
    }

    /// setreuid(2).
    ///
    /// # Errors
    /// `EPERM`.
    pub fn set_reuid(&mut self, real: u32, effective: u32) -> Result<(), Errno> {
        let new = self
            .uids
            .set_re(real, effective, self.has(abi::CAP_SETUID))?;
        self.change_uids(new);
        Ok(())
    }

    /// setresuid(2).
    ///
    /// # Errors
    /// `EPERM`.
    pub fn set_resuid(&mut self, ids: [u32; 3]) -> Result<(), Errno> {
        let new = self.uids.set_res(ids, self.has(abi::CAP_SETUID))?;
        self.change_uids(new);
        Ok(())
    }

    /// setfsuid(2): gives the old id back, whether or not it changed.
    pub fn set_fsuid(&mut self, uid: u32) -> u32 {
        let old = self.uids.fs;
        let allowed = self.uids.is_known(uid) || uid == old || self.has(abi::CAP_SETUID);
        if uid == KEEP || uid == old || !allowed {
            return old;
        }
        self.uids.fs = uid;
        if self.securebits & NO_SETUID_FIXUP == 0 {
            let caps = &mut self.caps;
            if old == 0 {
                caps.effective = caps.effective.minus(CapSet::FS);
            } else if uid == 0 {
                let raised = caps.permitted.intersection(CapSet::FS);
                caps.effective = caps.effective.union(raised);
            }
        }
        old
    }

    /// setgid(2).
    ///
    /// # Errors
    /// `EINVAL`, `EPERM`.
    pub fn set_gid(&mut self, gid: u32) -> Result<(), Errno> {
        self.gids = self.gids.set(gid, self.has(abi::CAP_SETGID))?;
        Ok(())
    }

    /// setregid(2).
    ///
    /// # Errors
    /// `EPERM`.
    pub fn set_regid(&mut self, real: u32, effective: u32) -> Result<(), Errno> {
        let privileged = self.has(abi::CAP_SETGID);
        self.gids = self.gids.set_re(real, effective, privileged)?;
        Ok(())
    }

    /// setresgid(2).
    ///
    /// # Errors
    /// `EPERM`.
    pub fn set_resgid(&mut self, ids: [u32; 3]) -> Result<(), Errno> {
        self.gids = self.gids.set_res(ids, self.has(abi::CAP_SETGID))?;
        Ok(())
    }

    /// setfsgid(2): gives the old id back.
    pub fn set_fsgid(&mut self, gid: u32) -> u32 {
        let old = self.gids.fs;
        let allowed = self.gids.is_known(gid) || self.has(abi::CAP_SETGID);
        if gid != KEEP && allowed {
            self.gids.fs = gid;
        }
        old
    }

    /// setgroups(2).
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETGID`.
    pub fn set_groups(&mut self, mut groups: Vec<u32>) -> Result<(), Errno> {
        if !self.has(abi::CAP_SETGID) {
            return Err(Errno::EPERM);
        }
        sort::by_key(&mut groups, |group| *group);
        self.groups = groups;
        Ok(())
    }

    /// What capabilities become when user ids change (capabilities(7), "Effect of user ID
    /// changes on capabilities").
    fn change_uids(&mut self, new: Ids) {
        let old = core::mem::replace(&mut self.uids, new);
        if self.securebits & NO_SETUID_FIXUP != 0 {
            return;
        }
        let is_root = |ids: &Ids| ids.real == 0 || ids.effective == 0 || ids.saved == 0;
        let caps = &mut self.caps;
        if is_root(&old) && !is_root(&new) {
            if self.securebits & KEEP_CAPS == 0 {
                caps.permitted = CapSet::EMPTY;
                caps.effective = CapSet::EMPTY;
            }
            caps.ambient = CapSet::EMPTY;
        }
        if old.effective == 0 && new.effective != 0 {
            caps.effective = CapSet::EMPTY;
        } else if old.effective != 0 && new.effective == 0 {
            caps.effective = caps.permitted;
        }
    }
}
