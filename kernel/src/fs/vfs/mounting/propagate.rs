//! Propagation: what is mounted on a shared mount, or taken from it, is on its peers and slaves, too
//! (mount_namespaces(7), "shared subtrees").

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;

use super::copy_tree;
use crate::fs::dentry::Dentry;
use crate::fs::memory::try_push;
use crate::fs::mount::{GOES, Index, Mount, Namespace, Path, Propagation, STAYS};

/// A mount and what is to be on it.
type On = (Arc<Mount>, Arc<Mount>);

/// Mounts a tree on `place`, and wherever else it must appear then; on failure, nowhere. On what is itself of the tree
/// only when that is `moved`, not when it is new. All copies are made before the first is put anywhere: none has
/// another in it, and nothing fails half-way.
pub(super) fn mount(
    namespace: &Namespace,
    top: &Arc<Mount>,
    place: Path,
    moved: bool,
) -> Result<(), Errno> {
    place.dentry.pin()?;
    let copies = if place.mount.propagation().shared == 0 {
        Vec::new()
    } else {
        copies(namespace, top, &place, moved)?
    };
    let dentry = Arc::clone(&place.dentry);
    namespace.put(top, place);
    for (mount, copy) in copies.iter().skip(1) {
        let place = Path {
            mount: Arc::clone(mount),
            dentry: Arc::clone(&dentry),
        };
        // What is there already stays in sight: it goes on top.
        let covered = namespace.mounted_on(&place);
        namespace.put(copy, place);
        if let Some(covered) = covered {
            namespace.put(&covered, namespace.descend(Path::root_of(copy)));
        }
    }
    Ok(())
}

/// What is to be where when `top` is mounted on `place`: that, and behind it the copies.
fn copies(
    namespace: &Namespace,
    top: &Arc<Mount>,
    place: &Path,
    moved: bool,
) -> Result<Vec<On>, Errno> {
    let mut tree = namespace.tree(top)?;
    let index = Index::new(namespace)?;
    let mut receivers = index.receivers(&place.mount)?;
    if !moved {
        tree.iter().for_each(|own| own.is_to_be(GOES, true));
        receivers.retain(|at| index.get(*at).is_some_and(|mount| !mount.is_to(GOES)));
        index.settle();
    }
    let mut copies = Vec::new();
    copies
        .try_reserve_exact(receivers.len())
        .map_err(|_| Errno::ENOMEM)?;
    copies.push((Arc::clone(&place.mount), Arc::clone(top)));
    tree.retain(|mount| mount.propagation().shared == 0);
    for mount in &tree {
        share(namespace, mount);
    }
    for receiver in index.of(&receivers).skip(1) {
        if let Err(error) = copy_for(namespace, receiver, &place.dentry, &mut copies) {
            for (_, copy) in copies.iter().skip(1) {
                namespace.dissolve(copy);
            }
            for mount in &tree {
                set_group(mount, 0);
            }
            return Err(error);
        }
    }
    Ok(copies)
}

/// Makes the copy for a receiver, if it gets one. There is room for that in `copies`.
fn copy_for(
    namespace: &Namespace,
    receiver: &Arc<Mount>,
    place: &Arc<Dentry>,
    copies: &mut Vec<On>,
) -> Result<(), Errno> {
    let Propagation { shared, master, .. } = receiver.propagation();
    // The copies of peers are alike: one is found at once from the end, where those of the last group are, one of a
    // master from the start.
    let is_of = |(on, _): &&On, group: u32| on.propagation().shared == group;
    let peer = copies
        .iter()
        .rev()
        .find(|on| shared != 0 && is_of(on, shared));
    let above = copies.iter().find(|on| master != 0 && is_of(on, master));
    let is_peer = peer.is_some();
    // A part of the tree may not show the place.
    let Some((_, source)) = peer.or(above).filter(|_| place.is_beneath(receiver.root())) else {
        return Ok(());
    };
    let copy = copy_tree(namespace, &Path::root_of(source), true)?;
    copies.push((Arc::clone(receiver), Arc::clone(&copy)));
    if !is_peer {
        for mount in namespace.tree(&copy)? {
            enslave(namespace, &mount, shared != 0);
        }
    }
    // Something may have to go there.
    namespace.descend(Path::root_of(&copy)).dentry.pin()
}

/// Gives a mount a peer group of its own.
fn share(namespace: &Namespace, mount: &Mount) {
    set_group(mount, namespace.free_group());
}

fn set_group(mount: &Mount, shared: u32) {
    mount.set_propagation(Propagation {
        shared,
        ..mount.propagation()
    });
}

/// Makes a copy the slave of what it is a copy of.
fn enslave(namespace: &Namespace, mount: &Mount, shared: bool) {
    let master = mount.propagation().shared;
    mount.set_propagation(Propagation {
        master,
        ..Propagation::default()
    });
    if shared {
        share(namespace, mount);
    }
}

/// Adds what goes with a tree to that, and marks it: what peers and slaves of what its mounts are on have at these
/// places, unless something that stays is mounted beneath that (`propagate_umount` of Linux's fs/pnode.c).
pub(super) fn companions(index: &Index, gone: &mut Vec<usize>) -> Result<(), Errno> {
    let tree = gone.len();
    let (mut receivers, mut group) = (Vec::new(), 0);
    for (shared, _, at) in index.shared_places(gone)? {
        let Some(place) = index.get(at).and_then(|mount| mount.place()) else {
            continue;
        };
        if shared != group {
            receivers = index.receivers(&place.mount)?;
            group = shared;
        }
        for receiver in index.of(&receivers) {
            let there = index.mounted_on(receiver, &place.dentry);
            if let Some(at) = there
                && let Some(mount) = index.get(at)
                && !mount.is_to(GOES)
            {
                try_push(gone, at)?;
                mount.is_to_be(GOES, true);
            }
        }
    }
    for candidate in index.of(gone.get(tree..).unwrap_or_default()) {
        for (_, child) in index.children(candidate) {
            if !child.is_to(GOES) {
                spare_beneath(child);
            }
        }
    }
    gone.retain(|at| index.get(*at).is_some_and(|mount| mount.is_to(GOES)));
    Ok(())
}

/// Has stay what `mount` is mounted on, and so on. Only what it covers may go: it takes that one's place.
fn spare_beneath(mount: &Arc<Mount>) {
    let mut at = Arc::clone(mount);
    while let Some(place) = at.place()
        && place.mount.is_to(GOES)
        && !at.is_to(STAYS)
    {
        at.is_to_be(STAYS, true);
        if !place.is_mount_root() {
            place.mount.is_to_be(GOES, false);
        }
        at = place.mount;
    }
}
