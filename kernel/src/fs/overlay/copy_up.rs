//! Copying a file of a lower layer into the upper one, with the directories above it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType, SetAttr};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::overlay::{ESCAPED, IMPURE, ORIGIN, PREFIX, YES, origin};
use kiln_core::num::{u64_of, usize_of};

use super::layers::{Real, is_dir, mark, set_attr};
use super::node::{Node, node_of};
use super::{Overlay, Upper};
use crate::fs::Dentry;
use crate::fs::file::File;
use crate::fs::inode::{Inode, NewInode};
use crate::fs::memory::{try_push, try_zeros};
use crate::fs::mount::Path;
use crate::fs::vfs::Node as NewNode;
use crate::vm::{IoDst, IoSrc};

/// Bytes that are copied at once.
const PIECE: usize = 64 * 1024;

/// The attributes that a copy takes over.
fn kept(attr: &Attr) -> SetAttr {
    SetAttr {
        mode: Some(attr.mode),
        uid: Some(attr.uid),
        gid: Some(attr.gid),
        atime: Some(attr.atime),
        mtime: Some(attr.mtime),
        ..SetAttr::default()
    }
}

impl Overlay {
    /// The file of `inode` in the upper layer: copied there unless it is there, without its contents
    /// unless `data`.
    pub(super) fn copy_up(&self, inode: &Arc<Inode>, data: bool) -> Result<Arc<Dentry>, Errno> {
        let node = node_of(inode)?;
        if let Some(there) = node.upper() {
            return Ok(there);
        }
        let upper = self.upper()?;
        let _guard = self.copying.lock();
        let mut chain = Vec::new();
        let mut at = Arc::clone(inode);
        while node_of(&at)?.upper().is_none() {
            let (parent, _) = node_of(&at)?.place().ok_or(Errno::EROFS)?;
            try_push(&mut chain, core::mem::replace(&mut at, parent))?;
        }
        while let Some(next) = chain.pop() {
            self.copy_one(upper, &next, data)?;
        }
        node.upper().ok_or(Errno::EIO)
    }

    /// Copies one file into its directory, which is in the upper layer.
    fn copy_one(&self, upper: &Upper, inode: &Arc<Inode>, data: bool) -> Result<(), Errno> {
        let node = node_of(inode)?;
        let lower = node.real()?;
        let real = lower.inode()?;
        real.ops().refresh(real)?;
        let attr = real.attr();
        if inode.is_dead() {
            let made = self.unnamed(upper, &attr)?;
            self.fill(node, &lower, &made, &attr, data)?;
            node.set_upper(made.dentry);
            return Ok(());
        }
        let (parent, name) = node.place().ok_or(Errno::EROFS)?;
        let dir = node_of(&parent)?.upper().ok_or(Errno::EIO)?;
        let target = match attr.kind {
            FileType::Symlink => real.ops().readlink(real)?,
            _ => Vec::new(),
        };
        let new = NewNode {
            kind: attr.kind,
            mode: attr.mode,
            rdev: attr.rdev,
            target: &target,
        };
        let (made, temporary) = upper.make(&new)?;
        let above = dir.inode().ok_or(Errno::ENOENT)?;
        let before = above.attr();
        let done = self
            .fill(node, &lower, &made, &attr, data)
            .and_then(|()| upper.place(&temporary, &dir, &name, 0));
        if let Err(error) = done {
            return upper.unmake(&temporary).and(Err(error));
        }
        // Nobody is to see that something was made in the directory.
        set_attr(above, kept(&before))?;
        if !attr.is_dir() {
            mark(above, IMPURE, YES)?;
            let ino = made.inode()?.ino();
            self.remember(ino, inode)?;
        }
        node.set_upper(made.dentry);
        Ok(())
    }

    /// A file without a name, for one that has lost all of its own.
    fn unnamed(&self, upper: &Upper, attr: &Attr) -> Result<Path, Errno> {
        if attr.kind != FileType::Regular {
            return Err(Errno::ESTALE);
        }
        let new = NewInode {
            kind: attr.kind,
            mode: attr.mode,
            uid: attr.uid,
            gid: attr.gid,
            rdev: attr.rdev,
            target: b"",
        };
        let dir = upper.work.inode().ok_or(Errno::ENOENT)?;
        let guard = dir.lock.lock();
        let made = dir.ops().create_unnamed(dir, &new)?;
        drop(guard);
        Ok(Path {
            mount: Arc::clone(&upper.mount),
            dentry: Dentry::unnamed(made, b"/#copy")?,
        })
    }

    /// Gives a copy what the file below has.
    fn fill(
        &self,
        node: &Node,
        lower: &Real,
        made: &Path,
        attr: &Attr,
        data: bool,
    ) -> Result<(), Errno> {
        let (from, to) = (lower.inode()?, made.inode()?);
        copy_attributes(from, to)?;
        if attr.kind == FileType::Regular && data {
            let layer = self.layers.get(lower.layer).ok_or(Errno::EIO)?;
            let path = Path {
                mount: Arc::clone(&layer.mount),
                dentry: Arc::clone(&lower.dentry),
            };
            copy_contents(&path, made, attr.size)?;
        }
        if !is_dir(from) {
            let ino = node.overlay.ino(lower.layer, from.ino());
            mark(to, ORIGIN, &origin(ino))?;
        }
        set_attr(to, kept(attr))
    }
}

/// Copies the extended attributes, but for overlay's own.
fn copy_attributes(from: &Arc<Inode>, to: &Arc<Inode>) -> Result<(), Errno> {
    let names = from.ops().list_xattr(from)?;
    for name in names.split(|byte| *byte == 0) {
        let is_own = name.starts_with(PREFIX) && !name.starts_with(ESCAPED);
        if name.is_empty() || is_own {
            continue;
        }
        let value = from.ops().get_xattr(from, name)?;
        match mark(to, name, &value) {
            // An upper layer that can't have it does without.
            Ok(()) | Err(Errno::EOPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn open(path: &Path, raw: u32) -> Result<Arc<File>, Errno> {
    let flags = OpenFlags { raw, mode: 0 };
    let inode = path.inode()?;
    let ops = inode.ops().open(inode, flags)?;
    File::new(path.clone(), ops, flags)
}

/// Copies a file's bytes, holes left out.
fn copy_contents(from: &Path, to: &Path, size: u64) -> Result<(), Errno> {
    let (source, dest) = (open(from, abi::O_RDONLY)?, open(to, abi::O_WRONLY)?);
    let mut buffer = try_zeros(PIECE)?;
    let mut at = 0;
    while at < size {
        if let Some(mapping) = source.inode.mapping() {
            match crate::fs::regular::seek_contents(mapping, at, true) {
                Ok(data) => at = data,
                Err(_) => break,
            }
        }
        let len = PIECE - usize_of(at) % PIECE;
        let piece = buffer.get_mut(..len).ok_or(Errno::EIO)?;
        let got = source.read_at(&mut IoDst::kernel(piece), at)?;
        if got == 0 {
            break;
        }
        let piece = buffer.get(..got).ok_or(Errno::EIO)?;
        let put = dest.write_at(&mut IoSrc::kernel(piece), at)?;
        if put == 0 {
            return Err(Errno::EIO);
        }
        at += u64_of(put);
    }
    if at < size || dest.inode.size() < size {
        let change = SetAttr {
            size: Some(size),
            ..SetAttr::default()
        };
        set_attr(&dest.inode, change)?;
    }
    Ok(())
}
