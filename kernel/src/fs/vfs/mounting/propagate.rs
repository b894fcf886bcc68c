//! Propagation: what is mounted on a shared mount, or taken from it, is on its peers and slaves, too
//! (mount_namespaces(7), "shared subtrees").

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;

use super::copy_tree;
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

/// Has a tree that was just mounted appear wherever else it must; on failure, nowhere. On what is itself of the tree
/// only when that was `moved`, not when it is new.
pub(super) fn mounted(namespace: &Namespace, top: &Arc<Mount>, moved: bool) -> Result<(), Errno> {
    let Some(place) = top.place() else {
        return Ok(());
    };
    if place.mount.propagation().shared == 0 {
        return Ok(());
    }
    let mut copies = Vec::new();
    let mut receivers = receivers(namespace, &place.mount)?;
    if !moved {
        let tree = namespace.tree(top)?;
        receivers.retain(|mount| !tree.iter().any(|own| Arc::ptr_eq(own, mount)));
    }
    let done = spread(namespace, top, &place, &receivers, &mut copies);
    if done.is_err() {
        for (_, copy) in copies.iter().skip(1) {
            namespace.dissolve(copy)?;
        }
    }
    done
}

/// A mount and what is on it.
type On = (Arc<Mount>, Arc<Mount>);

fn spread(
    namespace: &Namespace,
    top: &Arc<Mount>,
    place: &Path,
    receivers: &[Arc<Mount>],
    copies: &mut Vec<On>,
) -> Result<(), Errno> {
    try_push(copies, (Arc::clone(&place.mount), Arc::clone(top)))?;
    for mount in namespace.tree(top)? {
        share(namespace, &mount, mount.propagation().master);
    }
    for receiver in receivers.iter().skip(1) {
        let Propagation { shared, master, .. } = receiver.propagation();
        let of_group = |group: u32| {
            let is = |(on, _): &&On| group != 0 && on.propagation().shared == group;
            copies.iter().find(is).map(|(_, copy)| Arc::clone(copy))
        };
        let (peer, above) = (of_group(shared), of_group(master));
        let is_peer = peer.is_some();
        // A part of the tree may not show the place.
        let Some(source) = peer
            .or(above)
            .filter(|_| place.dentry.is_beneath(receiver.root()))
        else {
            continue;
        };
        let copy = copy_tree(namespace, &Path::root_of(&source), true)?;
        try_push(copies, (Arc::clone(receiver), Arc::clone(&copy)))?;
        if !is_peer {
            for mount in namespace.tree(&copy)? {
                enslave(namespace, &mount, shared != 0);
            }
        }
        let place = Path {
            mount: Arc::clone(receiver),
            dentry: Arc::clone(&place.dentry),
        };
        // What is there already stays in sight: it goes on top.
        let covered = namespace.mounted_on(&place);
        namespace.put(&copy, place)?;
        if let Some(covered) = covered {
            let top = namespace.descend(Path::root_of(&copy));
            namespace.put(&covered, top)?;
        }
    }
    Ok(())
}

/// Gives a mount a peer group, if it has none.
fn share(namespace: &Namespace, mount: &Mount, master: u32) {
    let before = mount.propagation().shared;
    let shared = if before == 0 {
        namespace.free_group()
    } else {
        before
    };
    mount.set_propagation(Propagation {
        shared,
        master,
        unbindable: false,
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
        share(namespace, mount, master);
    }
}

/// Takes one of [`companions`] away. What covers it takes its place.
pub(super) fn leave(namespace: &Namespace, gone: &Arc<Mount>) -> Result<(), Errno> {
    let cover = namespace.mounted_on(&Path::root_of(gone));
    if let (Some(place), Some(cover)) = (namespace.lift(gone), cover) {
        namespace.put(&cover, place)?;
    }
    namespace.forget(gone);
    Ok(())
}

/// What goes from its place when what is on `place` does: what peers and slaves of the mount there have at that place,
/// unless something is mounted beneath that.
pub(super) fn companions(namespace: &Namespace, place: &Path) -> Result<Vec<Arc<Mount>>, Errno> {
    let mut found = Vec::new();
    for receiver in receivers(namespace, &place.mount)?.into_iter().skip(1) {
        let place = Path {
            mount: receiver,
            dentry: Arc::clone(&place.dentry),
        };
        let Some(child) = namespace.mounted_on(&place) else {
            continue;
        };
        let covers = |inner: &Arc<Mount>| inner.place() == Some(Path::root_of(&child));
        if namespace.children(&child)?.iter().all(covers) {
            try_push(&mut found, child)?;
        }
    }
    Ok(found)
}
