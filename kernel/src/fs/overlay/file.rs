//! Open regular files of an overlay: everything is passed on to the file of the layer, which becomes
//! another one when the file is copied up meanwhile.

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::flags::OpenFlags;

use super::node::{Node, node_of};
use crate::fs::file::{Events, File, FileOps, Ioctl, MapSource, Watch};
use crate::fs::mount::Path;
use crate::sync::SpinLock;
use crate::vm::{IoDst, IoSrc, Mapping};

/// An open file.
pub(super) struct OverlayFile {
    flags: OpenFlags,
    real: SpinLock<Arc<File>>,
}

/// The layer's file, opened.
fn open_real(node: &Node, flags: OpenFlags) -> Result<Arc<File>, Errno> {
    let real = node.real()?;
    let layer = node.overlay.layers.get(real.layer).ok_or(Errno::EIO)?;
    let flags = OpenFlags {
        raw: flags.raw & !(abi::O_CREAT | abi::O_EXCL | abi::O_TRUNC),
        mode: 0,
    };
    let inode = Arc::clone(real.inode()?);
    let ops = inode.ops().open(&inode, flags)?;
    let path = Path {
        mount: Arc::clone(&layer.mount),
        dentry: real.dentry,
    };
    let file = File::new(path, ops, flags)?;
    if flags.writes() {
        file.begin_writing()?;
    }
    Ok(file)
}

impl OverlayFile {
    /// Opens the file that counts.
    pub(super) fn open(node: &Node, flags: OpenFlags) -> Result<Self, Errno> {
        Ok(Self {
            flags,
            real: SpinLock::new(open_real(node, flags)?),
        })
    }

    /// The layer's open file, with the flags that this one has now.
    fn real(&self, file: &File) -> Result<Arc<File>, Errno> {
        let mut real = Arc::clone(&self.real.lock());
        let node = node_of(&file.inode)?;
        let counts = node.real()?;
        if !Arc::ptr_eq(counts.inode()?, &real.inode) {
            let fresh = open_real(node, self.flags)?;
            let before = core::mem::replace(&mut *self.real.lock(), Arc::clone(&fresh));
            drop(before);
            real = fresh;
        }
        real.set_flags(file.flags());
        Ok(real)
    }
}

impl FileOps for OverlayFile {
    fn read(&self, file: &File, dst: &mut IoDst<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let real = self.real(file)?;
        real.ops.read(&real, dst, pos)
    }

    fn write(&self, file: &File, src: &mut IoSrc<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let real = self.real(file)?;
        let done = real.ops.write(&real, src, pos)?;
        node_of(&file.inode)?.take_attributes(&file.inode)?;
        Ok(done)
    }

    fn seek_end(&self, file: &File) -> Option<u64> {
        match self.real(file) {
            Ok(real) => real.ops.seek_end(&real),
            Err(_) => Some(file.inode.size()),
        }
    }

    fn ioctl(&self, file: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        let real = self.real(file)?;
        real.ops.ioctl(&real, request)
    }

    fn poll(&self, _: &File, _: Option<&mut dyn Watch>) -> Events {
        Events::READABLE | Events::WRITABLE
    }

    fn can_poll(&self) -> bool {
        false
    }

    fn sync(&self, file: &File, data_only: bool) -> Result<(), Errno> {
        let real = self.real(file)?;
        real.ops.sync(&real, data_only)
    }

    fn contents(&self, file: &File) -> Option<Arc<Mapping>> {
        let real = self.real(file).ok()?;
        real.ops.contents(&real)
    }

    fn mapping(&self, file: &File) -> Result<MapSource, Errno> {
        let real = self.real(file)?;
        real.ops.mapping(&real)
    }
}
