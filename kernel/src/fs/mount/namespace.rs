//! [`Namespace`]: all mounts that belong together.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::errno::Errno;
use kiln_core::num::{low32, u64_of, usize_of32};

use super::index::{Index, Key, unique};
use super::{CHANGES, GOES, Mount, MountFlags, Path, Propagation};
use crate::fs::memory::{try_arc, try_copy, try_push};
use crate::fs::superblock::{self, FileSystemType, MountRequest, SuperBlock};
use crate::sched::{Mutex, MutexGuard};
use crate::sync::SpinLock;

/// `/proc/sys/fs/mount-max`: how many mounts a namespace may have.
pub(crate) static MAX_MOUNTS: AtomicU64 = AtomicU64::new(100_000);

/// All mounts that belong together.
pub(crate) struct Namespace {
    /// In the order of mounting; the root is the first. Trees that hang nowhere are in here too.
    mounts: SpinLock<Vec<Arc<Mount>>>,
    /// What is yet to be mounted, and on what: on each when it is first looked at.
    late: Mutex<Vec<Late>>,
    /// Held while mounts come, go and move.
    changing: Mutex<()>,
}

/// A mount to come: of what, on what, and which others on directories of its root.
struct Late {
    place: Path,
    kind: FileSystemType,
    inside: &'static [(&'static [u8], FileSystemType)],
}

impl Namespace {
    /// A tree with `root` at its top.
    pub(crate) fn new(root: Arc<Mount>) -> Result<Arc<Self>, Errno> {
        let mut mounts = Vec::new();
        try_push(&mut mounts, root)?;
        try_arc(Self {
            mounts: SpinLock::new(mounts),
            late: Mutex::new(Vec::new()),
            changing: Mutex::new(()),
        })
    }

    /// Keeps others from mounting and unmounting.
    pub(crate) fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    /// Has a file system of the type mounted on `place` once somebody looks at it or lists the mounts:
    /// a boot doesn't pay for what its job doesn't use. Until then the place counts as a mountpoint.
    /// `inside` are others on directories of its root, which come as late.
    pub(crate) fn mount_late(
        &self,
        place: Path,
        kind: FileSystemType,
        inside: &'static [(&'static [u8], FileSystemType)],
    ) -> Result<(), Errno> {
        let late = Late {
            place,
            kind,
            inside,
        };
        Self::add_late(&mut self.late.lock(), late)
    }

    fn add_late(list: &mut Vec<Late>, late: Late) -> Result<(), Errno> {
        list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        late.place.dentry.count_mount(true);
        list.push(late);
        Ok(())
    }

    /// Mounts on `path` what was to be mounted there late; whether something is mounted there now.
    fn fill(&self, path: &Path) -> bool {
        let mut list = self.late.lock();
        let Some(at) = list.iter().position(|late| late.place == *path) else {
            return self.mounted_on(path).is_some();
        };
        let Some(Late { kind, inside, .. }) = list.get(at) else {
            return false;
        };
        // What fails for want of memory is still to come: the next look tries again.
        let (kind, inside) = (*kind, *inside);
        let Ok(root) = self.mount_root(kind, path.clone()) else {
            return false;
        };
        list.remove(at);
        path.dentry.count_mount(false);
        for (name, kind) in inside {
            // What can't be mounted now isn't there; the rest is.
            if let Ok(dentry) = root.dentry.child(name, false) {
                let late = Late {
                    place: root.with(dentry),
                    kind: *kind,
                    inside: &[],
                };
                let _ = Self::add_late(&mut list, late);
            }
        }
        true
    }

    fn mount_root(&self, kind: FileSystemType, place: Path) -> Result<Path, Errno> {
        let name = kind.name.as_bytes();
        let root = (kind.mount)(&MountRequest {
            lookup: None,
            device: None,
            options: b"",
            read_only: false,
        })?;
        let mount = Mount::new(
            superblock::root_of(root)?,
            MountFlags::RELATIME,
            try_copy(name)?,
        )?;
        place.dentry.pin()?;
        // It was to be there before any that are counted.
        try_push(&mut self.mounts.lock(), Arc::clone(&mount))?;
        self.put(&mount, place);
        Ok(Path::root_of(&mount))
    }

    /// The root of the tree.
    pub(crate) fn root(&self) -> Option<Path> {
        self.mounts.lock().first().map(Path::root_of)
    }

    /// Every mount, in the order of mounting, after those that were to come late; ENOMEM when one of these
    /// can't be made now.
    pub(crate) fn mounts(&self) -> Result<Vec<Arc<Mount>>, Errno> {
        while let Some(place) = self.first_late() {
            if !self.fill(&place) {
                return Err(Errno::ENOMEM);
            }
        }
        let mut copy = Vec::new();
        let count = self.mounts.lock().len();
        copy.try_reserve_exact(count + 8)
            .map_err(|_| Errno::ENOMEM)?;
        copy.extend(self.mounts.lock().iter().take(count + 8).cloned());
        Ok(copy)
    }

    fn first_late(&self) -> Option<Path> {
        let late = self.late.lock();
        late.first().map(|late| late.place.clone())
    }

    /// What is mounted on exactly this path; the last when there are several.
    pub(crate) fn mounted_on(&self, path: &Path) -> Option<Arc<Mount>> {
        let mounts = self.mounts.lock();
        let found = mounts
            .iter()
            .rev()
            .find(|mount| mount.place.lock().as_ref() == Some(path));
        found.map(Arc::clone)
    }

    /// Goes from a mountpoint to the root of what is mounted there, as often as it takes.
    pub(crate) fn descend(&self, mut path: Path) -> Path {
        while path.dentry.is_mountpoint() {
            match self.mounted_on(&path) {
                Some(mount) => {
                    mount.enter();
                    path = Path::root_of(&mount);
                }
                None if self.fill(&path) => {}
                None => break,
            }
        }
        path
    }

    /// Whether `mount` is in the tree: its root, or mounted somewhere beneath it.
    pub(crate) fn contains(&self, mount: &Arc<Mount>) -> bool {
        let mut at = Arc::clone(mount);
        while let Some(place) = at.place() {
            at = place.mount;
        }
        self.is_root(&at)
    }

    /// Whether `mount` is the tree's root.
    pub(crate) fn is_root(&self, mount: &Arc<Mount>) -> bool {
        let mounts = self.mounts.lock();
        mounts.first().is_some_and(|root| Arc::ptr_eq(root, mount))
    }

    /// Makes a mount one of these, without a place; ENOSPC when there are too many.
    pub(crate) fn keep(&self, mount: &Arc<Mount>) -> Result<(), Errno> {
        let mut mounts = self.mounts.lock();
        if mounts.len() as u64 >= MAX_MOUNTS.load(Ordering::Relaxed) {
            return Err(Errno::ENOSPC);
        }
        try_push(&mut mounts, Arc::clone(mount))
    }

    /// Gives a mount that is one of these a place, which is pinned. In this it is the last one mounted.
    pub(crate) fn put(&self, mount: &Arc<Mount>, place: Path) {
        place.dentry.count_mount(true);
        let mut mounts = self.mounts.lock();
        let before = mount.place.lock().replace(place);
        if let Some(at) = mounts.iter().rposition(|other| Arc::ptr_eq(other, mount)) {
            let moved = mounts.remove(at);
            mounts.push(moved);
        }
        drop(mounts);
        if let Some(before) = before {
            before.dentry.count_mount(false);
        }
        CHANGES.note();
    }

    /// Takes a mount from its place; it remains one of these.
    pub(crate) fn lift(&self, mount: &Arc<Mount>) -> Option<Path> {
        let place = mount.place.lock().take();
        if let Some(place) = &place {
            place.dentry.count_mount(false);
            CHANGES.note();
        }
        place
    }

    /// Lets a mount go that has no place.
    pub(crate) fn forget(&self, mount: &Arc<Mount>) {
        let mut mounts = self.mounts.lock();
        let at = mounts.iter().position(|other| Arc::ptr_eq(other, mount));
        let gone = at.map(|at| mounts.remove(at));
        drop(mounts);
        if let Some(gone) = gone {
            self.hand_over(gone.propagation());
        }
    }

    /// Takes those mounts away that go, which are `gone`. What covers one and stays takes its place, which stays pinned.
    pub(crate) fn remove(&self, index: &Index, gone: &[usize]) -> Result<(), Errno> {
        let mut left = Vec::new();
        left.try_reserve_exact(gone.len())
            .map_err(|_| Errno::ENOMEM)?;
        for mount in index.of(gone) {
            let Some((_, cover)) = index.children(mount).find(|(_, on)| !on.is_to(GOES)) else {
                continue;
            };
            let mut place = mount.place();
            while let Some(on) = &place
                && on.mount.is_to(GOES)
            {
                place = on.mount.place();
            }
            if let Some(place) = place {
                self.put(cover, place);
            }
        }
        for mount in index.of(gone) {
            let _ = self.lift(mount);
            let Propagation { shared, master, .. } = mount.propagation();
            left.push((usize_of32(shared), usize_of32(master), 0));
        }
        self.mounts.lock().retain(|mount| !mount.is_to(GOES));
        self.hand_over_all(left);
        Ok(())
    }

    /// Does as [`hand_over`](Self::hand_over) for many groups that mounts left, each with the one that it received
    /// events from.
    fn hand_over_all(&self, mut left: Vec<Key>) {
        const STAYS_ON: usize = 1;
        unique(&mut left);
        let mounts = self.mounts.lock();
        let find =
            |left: &[Key], group: u32| left.binary_search_by_key(&usize_of32(group), |key| key.0);
        for mount in mounts.iter() {
            // Others are in the group still: nothing is to be done for it.
            if let Ok(at) = find(&left, mount.propagation().shared)
                && let Some(group) = left.get_mut(at)
            {
                group.2 = STAYS_ON;
            }
        }
        for mount in mounts.iter() {
            let before = mount.propagation();
            let mut master = before.master;
            while master != 0
                && let Ok(at) = find(&left, master)
                && let Some((_, above, 0)) = left.get(at)
            {
                master = low32(u64_of(*above));
            }
            if master != before.master {
                mount.set_propagation(Propagation { master, ..before });
            }
        }
    }

    /// Makes `mount` the root in place of the old one, which has no place then.
    pub(crate) fn set_root(&self, mount: &Arc<Mount>) {
        let _ = self.lift(mount);
        let mut mounts = self.mounts.lock();
        if let Some(at) = mounts.iter().position(|other| Arc::ptr_eq(other, mount)) {
            mounts.get_mut(..=at).unwrap_or_default().rotate_right(1);
        }
    }

    /// The mounts on `mount`, in the order of mounting.
    pub(crate) fn children(&self, mount: &Arc<Mount>) -> Result<Vec<Arc<Mount>>, Errno> {
        let mut children = Vec::new();
        for other in self.mounts.lock().iter() {
            if other.is_on(mount) {
                try_push(&mut children, Arc::clone(other))?;
            }
        }
        Ok(children)
    }

    /// `mount` and all that is mounted beneath it, each behind what it is mounted on.
    pub(crate) fn tree(&self, mount: &Arc<Mount>) -> Result<Vec<Arc<Mount>>, Errno> {
        let mut tree = Vec::new();
        try_push(&mut tree, Arc::clone(mount))?;
        let mut at = 0;
        while let Some(next) = tree.get(at).cloned() {
            for child in self.children(&next)? {
                try_push(&mut tree, child)?;
            }
            at += 1;
        }
        Ok(tree)
    }

    /// Takes `mount` and all beneath it out, whoever uses them.
    pub(crate) fn dissolve(&self, mount: &Arc<Mount>) {
        let mut at = Arc::clone(mount);
        loop {
            if let Some(child) = self.last_child(&at) {
                at = child;
                continue;
            }
            let on = self.lift(&at);
            self.forget(&at);
            match on {
                Some(on) if !Arc::ptr_eq(&at, mount) => at = on.mount,
                _ => return,
            }
        }
    }

    fn last_child(&self, mount: &Arc<Mount>) -> Option<Arc<Mount>> {
        let mounts = self.mounts.lock();
        let found = mounts.iter().rev().find(|other| other.is_on(mount));
        found.cloned()
    }

    /// Files open for writing in a file system, through any mount.
    pub(crate) fn writers_of(&self, sb: &Arc<SuperBlock>) -> i32 {
        let mounts = self.mounts.lock();
        let shown = mounts.iter().filter(|mount| Arc::ptr_eq(&mount.sb, sb));
        shown.map(|mount| mount.writers()).sum()
    }

    /// Has those that received events of a peer group whose last mount left it receive them from where that did.
    pub(crate) fn hand_over(&self, left: Propagation) {
        if left.shared == 0 || self.peers(left.shared) != 0 {
            return;
        }
        for mount in self.mounts.lock().iter() {
            let before = mount.propagation();
            if before.master == left.shared {
                mount.set_propagation(Propagation {
                    master: left.master,
                    ..before
                });
            }
        }
    }

    /// How many mounts a peer group has.
    pub(crate) fn peers(&self, group: u32) -> usize {
        let mounts = self.mounts.lock();
        let peers = mounts
            .iter()
            .filter(|mount| mount.propagation().shared == group);
        peers.count()
    }

    /// The lowest number that no peer group has.
    pub(crate) fn free_group(&self) -> u32 {
        let mounts = self.mounts.lock();
        let used = |group: u32| {
            mounts.iter().any(|mount| {
                let Propagation { shared, master, .. } = mount.propagation();
                shared == group || master == group
            })
        };
        (1..).find(|group| !used(*group)).unwrap_or(u32::MAX)
    }
}
