//! [`Credentials`]: who a task is and what it may do, and the rules by which the setuid family,
//! capset and exec change that (credentials(7), capabilities(7)).
//!
//! The kernel shares them as `Arc<Credentials>` and never changes one in place: a call makes a
//! new one. File permissions are decided in `fs`, from `fsuid`, `fsgid`, `groups` and
//! [`Credentials::has`].

use crate::abi;
use crate::errno::Errno;
use alloc::vec::Vec;

/// A set of capabilities; bit n is capability n.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CapSet(u64);

impl CapSet {
    /// None.
    pub const EMPTY: Self = Self(0);
    /// All that exist.
    pub const FULL: Self = Self((1 << (abi::CAP_LAST_CAP + 1)) - 1);
    /// Those that go with the file system user id (linux/capability.h, `CAP_FS_SET`).
    const FS: Self = Self(
        1 << abi::CAP_CHOWN
            | 1 << abi::CAP_MKNOD
            | 1 << abi::CAP_DAC_OVERRIDE
            | 1 << abi::CAP_DAC_READ_SEARCH
            | 1 << abi::CAP_FOWNER
            | 1 << abi::CAP_FSETID
            | 1 << abi::CAP_LINUX_IMMUTABLE
            | 1 << abi::CAP_MAC_OVERRIDE,
    );

    /// The set with these bits; those of capabilities that don't exist are dropped.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::FULL.0)
    }

    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether the capability is in it.
    #[must_use]
    pub const fn contains(self, cap: u32) -> bool {
        cap <= abi::CAP_LAST_CAP && self.0 & (1 << cap) != 0
    }

    /// With the capability.
    #[must_use]
    pub const fn with(self, cap: u32) -> Self {
        Self(
            self.0
                | if cap <= abi::CAP_LAST_CAP {
                    1 << cap
                } else {
                    0
                },
        )
    }

    /// Without the capability.
    #[must_use]
    pub const fn without(self, cap: u32) -> Self {
        Self(
            self.0
                & !(if cap <= abi::CAP_LAST_CAP {
                    1 << cap
                } else {
                    0
                }),
        )
    }

    const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

/// The five capability sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Caps {
    /// What counts in checks.
    pub effective: CapSet,
    /// What may be made effective.
    pub permitted: CapSet,
    /// What exec of a file with capabilities may pass on.
    pub inheritable: CapSet,
    /// What exec can never go beyond.
    pub bounding: CapSet,
    /// What exec of a file without capabilities passes on.
    pub ambient: CapSet,
}

/// `SECBIT_*` (linux/securebits.h).
const NOROOT: u32 = 1;
const NO_SETUID_FIXUP: u32 = 1 << 2;
const KEEP_CAPS: u32 = 1 << 4;
const NO_CAP_AMBIENT_RAISE: u32 = 1 << 6;
const LOCKS: u32 = 0xAA;
const ALL_SECUREBITS: u32 = 0xFF;

/// "Leave it": an id of -1 in setreuid and its like.
const KEEP: u32 = u32::MAX;

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

    /// setuid(2). # Errors: `EINVAL`, `EPERM`, as there.
    ///
    /// # Errors
    /// As the man page says; this holds for the whole family below.
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
        groups.sort_unstable();
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

    /// capset(2).
    ///
    /// # Errors
    /// `EPERM` when a set goes beyond what it may.
    pub fn set_caps(
        &mut self,
        effective: CapSet,
        permitted: CapSet,
        inheritable: CapSet,
    ) -> Result<(), Errno> {
        let old = &self.caps;
        let inherits = self.has(abi::CAP_SETPCAP)
            || inheritable.is_within(old.inheritable.union(old.permitted));
        if !inherits
            || !inheritable.is_within(old.inheritable.union(old.bounding))
            || !permitted.is_within(old.permitted)
            || !effective.is_within(permitted)
        {
            return Err(Errno::EPERM);
        }
        self.caps = Caps {
            effective,
            permitted,
            inheritable,
            bounding: old.bounding,
            ambient: old
                .ambient
                .intersection(permitted)
                .intersection(inheritable),
        };
        Ok(())
    }

    /// `PR_CAPBSET_DROP`.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETPCAP`, `EINVAL` for a capability that doesn't exist.
    pub fn drop_bounding(&mut self, cap: u32) -> Result<(), Errno> {
        if !self.has(abi::CAP_SETPCAP) {
            return Err(Errno::EPERM);
        }
        if cap > abi::CAP_LAST_CAP {
            return Err(Errno::EINVAL);
        }
        self.caps.bounding = self.caps.bounding.without(cap);
        Ok(())
    }

    /// `PR_CAP_AMBIENT_RAISE`.
    ///
    /// # Errors
    /// `EPERM` when it is not both permitted and inheritable, or securebits forbid it.
    pub fn raise_ambient(&mut self, cap: u32) -> Result<(), Errno> {
        let caps = &mut self.caps;
        let held = caps.permitted.contains(cap) && caps.inheritable.contains(cap);
        if !held || self.securebits & NO_CAP_AMBIENT_RAISE != 0 {
            return Err(Errno::EPERM);
        }
        caps.ambient = caps.ambient.with(cap);
        Ok(())
    }

    /// `PR_SET_KEEPCAPS`.
    ///
    /// # Errors
    /// `EPERM` when that bit is locked.
    pub fn set_keep_caps(&mut self, keep: bool) -> Result<(), Errno> {
        if self.securebits & (KEEP_CAPS << 1) != 0 {
            return Err(Errno::EPERM);
        }
        self.securebits = self.securebits & !KEEP_CAPS | if keep { KEEP_CAPS } else { 0 };
        Ok(())
    }

    /// Whether `PR_SET_KEEPCAPS` is on.
    #[must_use]
    pub const fn keeps_caps(&self) -> bool {
        self.securebits & KEEP_CAPS != 0
    }

    /// `PR_SET_SECUREBITS`.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETPCAP`, for locked or unknown bits.
    pub fn set_securebits(&mut self, bits: u32) -> Result<(), Errno> {
        let locked = (self.securebits & LOCKS) >> 1;
        let changes = (self.securebits ^ bits) & locked;
        let unlocks = self.securebits & LOCKS & !bits;
        let allowed = self.has(abi::CAP_SETPCAP);
        if changes != 0 || unlocks != 0 || bits & !ALL_SECUREBITS != 0 || !allowed {
            return Err(Errno::EPERM);
        }
        self.securebits = bits;
        Ok(())
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
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn root_drops_to_a_user_for_good() {
        let mut cred = Credentials::new(0, 0);
        cred.set_uid(1000).unwrap();
        assert_eq!(cred.uids, Ids::all(1000));
        assert_eq!(cred.caps.permitted, CapSet::EMPTY);
        assert_eq!(cred.set_uid(0), Err(Errno::EPERM));
        assert_eq!(cred.set_resuid([KEEP, 0, KEEP]), Err(Errno::EPERM));
    }

    #[test]
    fn saved_id_brings_rights_back() {
        let mut cred = Credentials::new(0, 0);
        cred.set_resuid([KEEP, 1000, KEEP]).unwrap();
        assert!(!cred.has(abi::CAP_KILL));
        assert_eq!(cred.caps.permitted, CapSet::FULL);
        cred.set_resuid([KEEP, 0, KEEP]).unwrap();
        assert!(cred.has(abi::CAP_KILL));
    }

    #[test]
    fn setreuid_swaps() {
        let mut cred = Credentials::new(1000, 1000);
        cred.uids.effective = 2000;
        cred.set_reuid(2000, 1000).unwrap();
        assert_eq!((cred.uids.real, cred.uids.effective), (2000, 1000));
        assert_eq!(cred.uids.saved, 1000);
        assert_eq!(cred.set_reuid(5, KEEP), Err(Errno::EPERM));
    }

    #[test]
    fn fsuid_takes_file_capabilities_along() {
        let mut cred = Credentials::new(0, 0);
        assert_eq!(cred.set_fsuid(1000), 0);
        assert!(!cred.has(abi::CAP_DAC_OVERRIDE));
        assert!(cred.has(abi::CAP_KILL));
        assert_eq!(cred.set_fsuid(0), 1000);
        assert!(cred.has(abi::CAP_DAC_OVERRIDE));
    }

    #[test]
    fn exec_of_setuid_root() {
        let user = Credentials::new(1000, 1000);
        let (new, secure) = user.for_exec(Some(0), None).unwrap();
        assert!(secure);
        assert_eq!(new.uids.real, 1000);
        assert_eq!(new.uids.saved, 0);
        assert!(new.has(abi::CAP_SETUID));
        let (plain, secure) = user.for_exec(None, None).unwrap();
        assert!(!secure);
        assert_eq!(plain.caps.permitted, CapSet::EMPTY);
    }

    #[test]
    fn capset_only_shrinks() {
        let mut cred = Credentials::new(0, 0);
        let one = CapSet::EMPTY.with(abi::CAP_KILL);
        cred.set_caps(one, one, CapSet::EMPTY).unwrap();
        assert_eq!(
            cred.set_caps(one, CapSet::FULL, CapSet::EMPTY),
            Err(Errno::EPERM)
        );
        assert_eq!(cred.raise_ambient(abi::CAP_KILL), Err(Errno::EPERM));
        cred.set_caps(one, one, one).unwrap();
        cred.raise_ambient(abi::CAP_KILL).unwrap();
        assert!(cred.caps.ambient.contains(abi::CAP_KILL));
    }

    #[test]
    fn groups_and_signals() {
        let mut cred = Credentials::new(0, 0);
        cred.set_groups(vec![30, 10, 20]).unwrap();
        assert!(cred.in_group(20) && cred.in_group(0) && !cred.in_group(5));
        let user = Credentials::new(1000, 1000);
        assert!(cred.may_signal(&user) && !user.may_signal(&cred));
        assert!(user.may_signal(&Credentials::new(1000, 5)));
    }
}
