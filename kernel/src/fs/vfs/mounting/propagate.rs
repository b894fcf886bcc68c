//! Propagation: what is mounted on a shared mount, or taken from it, is on its peers and slaves, too
//! (mount_namespaces(7), "shared subtrees").

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;

use super::copy_tree;
use crate::fs::dentry::Dentry;
use crate::fs::memory::try_push;
use crate::fs::mount::{Mount, Namespace, Path, Propagation};

/// Where what happens at `mount` happens, too: itself, its peers and slaves, and what gets it from these; each behind
/// one that it gets it from.
fn receivers(namespace: &Namespace, mount: &Arc<Mount>) -> Result<Vec<Arc<Mount>>, Errno> {
    let mut found = Vec::new();
    try_push(&mut found, Arc::clone(mount))?;
    if mount.propagation().shared == 0 {
        return Ok(found);
    }
    let all = namespace.mounts()?;
    let mut at = 0;
    while let Some(group) = found.get(at).map(|mount| mount.propagation().shared) {
        at += 1;
        for other in &all {
            let Propagation { shared, master, .. } = other.propagation();
            let gets = group != 0 && (shared == group || master == group);
            if gets && !found.iter().any(|known| Arc::ptr_eq(known, other)) {
                try_push(&mut found, Arc::clone(other))?;
            }
        }
    }
    Ok(found)
}

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
    let mut receivers = receivers(namespace, &place.mount)?;
    if !moved {
        receivers.retain(|mount| !tree.iter().any(|own| Arc::ptr_eq(own, mount)));
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
    for receiver in receivers.iter().skip(1) {
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
    let of_group = |group: u32| {
        let is = |(on, _): &&On| group != 0 && on.propagation().shared == group;
        copies.iter().find(is).map(|(_, copy)| Path::root_of(copy))
    };
    let (peer, above) = (of_group(shared), of_group(master));
    let is_peer = peer.is_some();
    // A part of the tree may not show the place.
    let Some(source) = peer.or(above).filter(|_| place.is_beneath(receiver.root())) else {
        return Ok(());
    };
    let copy = copy_tree(namespace, &source, true)?;
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

/// Takes one of [`companions`] away. What covers it takes its place, which stays pinned.
pub(super) fn leave(namespace: &Namespace, gone: &Arc<Mount>) {
    let cover = namespace.mounted_on(&Path::root_of(gone));
    if let (Some(place), Some(cover)) = (gone.place(), cover) {
        namespace.put(&cover, place);
    }
    namespace.lift(gone);
    namespace.forget(gone);
}

/// Adds what goes when `mount` does to what is to go: what peers and slaves of what it is on have at that place, unless
/// something that stays is mounted beneath that.
pub(super) fn companions(
    namespace: &Namespace,
    mount: &Mount,
    gone: &mut Vec<Arc<Mount>>,
) -> Result<(), Errno> {
    let place = mount.place().ok_or(Errno::EINVAL)?;
    for receiver in receivers(namespace, &place.mount)?.into_iter().skip(1) {
        let place = Path {
            mount: receiver,
            dentry: Arc::clone(&place.dentry),
        };
        let Some(child) = namespace.mounted_on(&place) else {
            continue;
        };
        let goes = |mount: &Arc<Mount>| gone.iter().any(|gone| Arc::ptr_eq(gone, mount));
        let covers = |inner: &Arc<Mount>| inner.place() == Some(Path::root_of(&child));
        let inner = namespace.children(&child)?;
        if !goes(&child) && inner.iter().all(|inner| covers(inner) || goes(inner)) {
            try_push(gone, child)?;
        }
    }
    Ok(())
}
