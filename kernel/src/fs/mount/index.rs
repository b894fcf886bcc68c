//! [`Index`]: the mounts of a namespace at one moment, to be found by what they are on and by peer group.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::num::usize_of32;
use kiln_core::sort;

use super::{GOES, Mount, Namespace, STAYS};
use crate::fs::dentry::Dentry;
use crate::fs::memory::{try_push, try_zeros};

/// What a mount is found by. The first is the address of the mount that it is on, and the second that of the dentry;
/// or the first is a peer group whose events it gets, and the second nothing. The last says which mount it is.
pub(crate) type Key = (usize, usize, usize);

/// The mounts of a namespace, for as long as nobody else may change these.
pub(crate) struct Index {
    all: Vec<Arc<Mount>>,
    /// Sorted: what is on one path, and what gets a group's events, is in the order of mounting.
    keys: Vec<Key>,
}

fn address<T>(of: &Arc<T>) -> usize {
    Arc::as_ptr(of).addr()
}

/// Sorts them, and leaves one of those that differ in the last only.
pub(super) fn unique(keys: &mut Vec<Key>) {
    order(keys);
    keys.dedup_by_key(|key| (key.0, key.1));
}

fn order(keys: &mut [Key]) {
    sort::by_key(keys, |key| *key);
}

impl Index {
    /// The mounts as they are now.
    pub(crate) fn new(namespace: &Namespace) -> Result<Self, Errno> {
        let all = namespace.mounts()?;
        let mut keys = Vec::new();
        for (at, mount) in all.iter().enumerate() {
            let place = mount.place.lock();
            let key = place
                .as_ref()
                .map(|on| (address(&on.mount), address(&on.dentry), at));
            drop(place);
            if let Some(key) = key {
                try_push(&mut keys, key)?;
            }
            let propagation = mount.propagation();
            for group in [propagation.shared, propagation.master] {
                if group != 0 {
                    try_push(&mut keys, (usize_of32(group), 0, at))?;
                }
            }
        }
        order(&mut keys);
        Ok(Self { all, keys })
    }

    /// A mount by its number.
    pub(crate) fn get(&self, at: usize) -> Option<&Arc<Mount>> {
        self.all.get(at)
    }

    /// The mounts by their numbers.
    pub(crate) fn of<'a>(&'a self, list: &'a [usize]) -> impl Iterator<Item = &'a Arc<Mount>> {
        list.iter().filter_map(|at| self.all.get(*at))
    }

    fn found_by(&self, first: usize, second: usize) -> &[Key] {
        let from = self
            .keys
            .partition_point(|key| key.0 < first || key.0 == first && key.1 < second);
        self.keys.get(from..).unwrap_or_default()
    }

    /// What is on a mount.
    pub(crate) fn children(
        &self,
        mount: &Arc<Mount>,
    ) -> impl Iterator<Item = (usize, &Arc<Mount>)> {
        let on = address(mount);
        let keys = self
            .found_by(on, 0)
            .iter()
            .take_while(move |key| key.0 == on);
        keys.filter_map(|key| Some((key.2, self.all.get(key.2)?)))
    }

    /// What is mounted on exactly this path.
    pub(crate) fn mounted_on(&self, mount: &Arc<Mount>, dentry: &Arc<Dentry>) -> Option<usize> {
        let (on, dentry) = (address(mount), address(dentry));
        let keys = self.found_by(on, dentry).iter();
        let here = keys.take_while(|key| key.0 == on && key.1 == dentry);
        here.last().map(|key| key.2)
    }

    /// `mount` and all that is mounted beneath it, each behind what it is mounted on.
    pub(crate) fn tree(&self, mount: &Arc<Mount>) -> Result<Vec<usize>, Errno> {
        let mut tree = Vec::new();
        try_push(&mut tree, self.number(mount)?)?;
        let mut at = 0;
        while let Some(next) = tree.get(at).and_then(|next| self.all.get(*next)) {
            for (child, _) in self.children(next) {
                try_push(&mut tree, child)?;
            }
            at += 1;
        }
        Ok(tree)
    }

    fn number(&self, mount: &Arc<Mount>) -> Result<usize, Errno> {
        let is = |other: &Arc<Mount>| Arc::ptr_eq(other, mount);
        self.all.iter().position(is).ok_or(Errno::EINVAL)
    }

    /// Where what happens at `mount` happens, too: itself, its peers and slaves, and what gets it from these; each
    /// behind one that it gets it from.
    pub(crate) fn receivers(&self, mount: &Arc<Mount>) -> Result<Vec<usize>, Errno> {
        /// It is found; and so are its peers and slaves, or will be with a peer's.
        const FOUND: u8 = 1;
        const DONE: u8 = 2;
        let mut states = try_zeros(self.all.len())?;
        let mut found = Vec::new();
        try_push(&mut found, self.number(mount)?)?;
        let mut at = 0;
        while let Some(next) = found.get(at).copied() {
            at += 1;
            let group = self
                .all
                .get(next)
                .map_or(0, |next| next.propagation().shared);
            let state = states.get_mut(next).ok_or(Errno::EINVAL)?;
            if core::mem::replace(state, DONE) == DONE || group == 0 {
                continue;
            }
            let first = usize_of32(group);
            let members = self.found_by(first, 0).iter();
            for (_, _, other) in members.take_while(|key| key.0 == first) {
                let is_peer = self
                    .all
                    .get(*other)
                    .is_some_and(|other| other.propagation().shared == group);
                let state = states.get_mut(*other).ok_or(Errno::EINVAL)?;
                if *state == 0 {
                    try_push(&mut found, *other)?;
                }
                *state = (*state).max(if is_peer { DONE } else { FOUND });
            }
        }
        Ok(found)
    }

    /// One of those in the list for each peer group and place in it that they are on, in order.
    pub(crate) fn shared_places(&self, list: &[usize]) -> Result<Vec<Key>, Errno> {
        let mut keys = Vec::new();
        for at in list {
            let Some(place) = self.all.get(*at).and_then(|mount| mount.place()) else {
                continue;
            };
            let group = place.mount.propagation().shared;
            if group != 0 {
                try_push(&mut keys, (usize_of32(group), address(&place.dentry), *at))?;
            }
        }
        unique(&mut keys);
        Ok(keys)
    }

    /// Forgets what was to become of them.
    pub(crate) fn settle(&self) {
        for mount in &self.all {
            mount.is_to_be(GOES | STAYS, false);
        }
    }
}
