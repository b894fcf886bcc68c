//! [`Node`]: what an overlay keeps of an inode: which files of the layers it stands for.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::Attr;
use kiln_core::fs::overlay::{OPAQUE, ORIGIN, origin_ino};

use super::Overlay;
use super::layers::{Real, is_dir, is_whiteout, says_yes};
use super::listing::Listing;
use crate::fs::Dentry;
use crate::fs::inode::{Inode, InodeParts};
use crate::fs::memory::{try_arc, try_push};
use crate::sched::Mutex;
use crate::sync::SpinLock;

/// Where an inode is: its directory and its name there.
pub(super) type Place = (Arc<Inode>, Box<[u8]>);

struct State {
    upper: Option<Arc<Dentry>>,
    /// Below: all that a directory shows, the topmost first; of other files the one that counts as
    /// long as there is none in the upper layer.
    lowers: Vec<Real>,
    place: Option<Place>,
}

/// What an overlay keeps of an inode.
pub(super) struct Node {
    pub(super) overlay: Arc<Overlay>,
    state: SpinLock<State>,
    pub(super) listing: Mutex<Listing>,
}

/// The node of an inode of an overlay.
pub(super) fn node_of(inode: &Inode) -> Result<&Node, Errno> {
    inode.ops_as().ok_or(Errno::EXDEV)
}

impl Node {
    /// An inode that stands for these files.
    pub(super) fn inode(
        overlay: &Arc<Overlay>,
        upper: Option<Arc<Dentry>>,
        lowers: Vec<Real>,
        place: Option<Place>,
    ) -> Result<Arc<Inode>, Errno> {
        let top = match &upper {
            Some(upper) => Real::new(0, Arc::clone(upper)),
            None => lowers.first().cloned().ok_or(Errno::ENOENT)?,
        };
        let real = top.inode()?;
        // All names of a file in the upper layer are one inode here too.
        let shared = upper.is_some() && !is_dir(real);
        if shared && let Some(known) = overlay.known(real.ino()) {
            return Ok(known);
        }
        real.ops().refresh(real)?;
        let attr = shown(real.attr(), upper.is_some(), lowers.len());
        let ino = number(overlay, &top, &lowers)?;
        let made = Inode::new(InodeParts {
            sb: overlay.superblock()?,
            ino,
            attr,
            mapping: None,
            ops: try_arc(Self {
                overlay: Arc::clone(overlay),
                state: SpinLock::new(State {
                    upper,
                    lowers,
                    place,
                }),
                listing: Mutex::default(),
            })?,
        })?;
        if shared {
            overlay.remember(real.ino(), &made)?;
        }
        Ok(made)
    }

    /// Its file in the upper layer.
    pub(super) fn upper(&self) -> Option<Arc<Dentry>> {
        self.state.lock().upper.clone()
    }

    /// It has been copied up.
    pub(super) fn set_upper(&self, dentry: Arc<Dentry>) {
        self.state.lock().upper = Some(dentry);
    }

    /// Where it is.
    pub(super) fn place(&self) -> Option<Place> {
        self.state.lock().place.clone()
    }

    /// It is elsewhere now.
    pub(super) fn set_place(&self, place: Place) {
        let before = self.state.lock().place.replace(place);
        drop(before);
    }

    /// Its files below.
    pub(super) fn lowers(&self) -> Result<Vec<Real>, Errno> {
        let mut copy = Vec::new();
        let state = self.state.lock();
        copy.try_reserve_exact(state.lowers.len())
            .map_err(|_| Errno::ENOMEM)?;
        copy.extend(state.lowers.iter().cloned());
        Ok(copy)
    }

    /// Whether there is anything of it below.
    pub(super) fn has_lowers(&self) -> bool {
        !self.state.lock().lowers.is_empty()
    }

    /// The file that counts.
    pub(super) fn real(&self) -> Result<Real, Errno> {
        let state = self.state.lock();
        match &state.upper {
            Some(upper) => Ok(Real::new(0, Arc::clone(upper))),
            None => state.lowers.first().cloned().ok_or(Errno::ESTALE),
        }
    }

    /// Takes the attributes over from the file that counts.
    pub(super) fn take_attributes(&self, inode: &Inode) -> Result<(), Errno> {
        let real = self.real()?;
        let real = real.inode()?;
        real.ops().refresh(real)?;
        let (has_upper, lowers) = {
            let state = self.state.lock();
            (state.upper.is_some(), state.lowers.len())
        };
        let attr = shown(real.attr(), has_upper, lowers);
        inode.update(|own| {
            let gone = own.nlink == 0 && (is_dir(real) || !has_upper);
            *own = attr;
            if gone {
                own.nlink = 0;
            }
        });
        Ok(())
    }

    /// Whether a directory below has that name.
    pub(super) fn is_below(&self, name: &[u8]) -> Result<bool, Errno> {
        for lower in self.lowers()? {
            if let Some(child) = lower.child(name)? {
                return Ok(!is_whiteout(child.inode()?));
            }
        }
        Ok(false)
    }

    /// The file in the upper layer, copied there if need be.
    pub(super) fn copied(&self, inode: &Arc<Inode>) -> Result<Arc<Inode>, Errno> {
        let dentry = self.overlay.copy_up(inode, true)?;
        dentry.inode().cloned().ok_or(Errno::ENOENT)
    }

    /// The files that `name` in this directory stands for.
    pub(super) fn find(&self, name: &[u8]) -> Result<(Option<Arc<Dentry>>, Vec<Real>), Errno> {
        let mut lowers = Vec::new();
        let mut upper = None;
        if let Some(dir) = self.upper() {
            let there = Real::new(0, dir).child(name)?;
            if let Some(there) = there {
                let inode = there.inode()?;
                if is_whiteout(inode) {
                    return Ok((None, lowers));
                }
                upper = Some(Arc::clone(&there.dentry));
                if !is_dir(inode) || says_yes(inode, OPAQUE) {
                    return Ok((upper, lowers));
                }
            }
        }
        for dir in self.lowers()? {
            let Some(there) = dir.child(name)? else {
                continue;
            };
            let inode = there.inode()?;
            let has_above = upper.is_some() || !lowers.is_empty();
            if is_whiteout(inode) || (has_above && !is_dir(inode)) {
                break;
            }
            let last = !is_dir(inode) || says_yes(inode, OPAQUE);
            try_push(&mut lowers, there)?;
            if last {
                break;
            }
        }
        Ok((upper, lowers))
    }
}

/// The attributes of a file as the overlay shows them: a directory of several layers doesn't count its
/// subdirectories.
fn shown(mut attr: Attr, has_upper: bool, lowers: usize) -> Attr {
    if attr.is_dir() && usize::from(has_upper) + lowers > 1 {
        attr.nlink = 1;
    }
    attr
}

/// An inode's number: that of what it was copied up from, so that copying up doesn't change it.
fn number(overlay: &Overlay, top: &Real, lowers: &[Real]) -> Result<u64, Errno> {
    let real = top.inode()?;
    if let Some(lower) = lowers.first() {
        return Ok(overlay.ino(lower.layer, lower.inode()?.ino()));
    }
    let origin = real.ops().get_xattr(real, ORIGIN).ok();
    let origin = origin.and_then(|value| origin_ino(&value));
    Ok(origin.unwrap_or_else(|| overlay.ino(top.layer, real.ino())))
}

impl Overlay {
    /// The inode in use of a file in the upper layer.
    pub(super) fn known(&self, ino: u64) -> Option<Arc<Inode>> {
        self.by_upper.lock().get(&ino)?.upgrade()
    }

    /// Enters the inode of a file in the upper layer.
    pub(super) fn remember(&self, ino: u64, inode: &Arc<Inode>) -> Result<(), Errno> {
        let _charge = crate::mm::kmem::charge(64).map_err(|_| Errno::ENOMEM)?;
        self.by_upper.lock().insert(ino, Arc::downgrade(inode));
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let upper = self.state.get_mut().upper.take();
        if let Some(ino) = upper
            .as_ref()
            .and_then(|dentry| dentry.inode())
            .map(|inode| inode.ino())
        {
            let mut known = self.overlay.by_upper.lock();
            if known.get(&ino).is_some_and(|weak| weak.strong_count() == 0) {
                known.remove(&ino);
            }
        }
    }
}
