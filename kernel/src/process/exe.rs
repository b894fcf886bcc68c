//! [`Executable`]: a program's file while it is run. Nobody may write to it meanwhile (`ETXTBSY`).

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::errno::Errno;

use crate::fs::{self, Inode};
use crate::mm::kmem;
use crate::vm::loader::ImageFile;
use crate::vm::{IoDst, MapName, Mapping};

/// A program's file.
pub(crate) struct Executable {
    path: fs::Path,
    inode: Arc<Inode>,
    /// Where the path that /proc shows begins.
    root: fs::Path,
}

impl Executable {
    /// Keeps writers out as long as the value lives.
    ///
    /// # Errors
    /// `ETXTBSY` when there are writers, `ENOMEM`.
    pub(super) fn new(path: fs::Path, root: fs::Path) -> Result<Arc<Self>, Errno> {
        let inode = Arc::clone(path.inode()?);
        let _charge = kmem::charge(size_of::<Self>() + 16)?;
        inode.ops().load(&inode)?;
        inode.deny_writing()?;
        Ok(Arc::new(Self { path, inode, root }))
    }

    /// Where it was found.
    pub(crate) fn path(&self) -> &fs::Path {
        &self.path
    }

    /// The file.
    pub(crate) fn inode(&self) -> &Arc<Inode> {
        &self.inode
    }
}

impl Drop for Executable {
    fn drop(&mut self) {
        self.inode.allow_writing();
    }
}

impl ImageFile for Executable {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let mapping = self.inode.mapping().ok_or(Errno::EACCES)?;
        mapping.read(offset, &mut IoDst::kernel(into))
    }

    fn mapping(&self) -> Option<Arc<Mapping>> {
        self.inode.mapping().cloned()
    }

    fn name(&self) -> Option<Arc<dyn MapName>> {
        // Holding the program's own object would keep writers out of what is only mapped.
        let _charge = kmem::charge(size_of::<Name>() + 16).ok()?;
        Some(Arc::new(Name {
            path: self.path.clone(),
            inode: Arc::clone(&self.inode),
            root: self.root.clone(),
        }))
    }
}

/// How /proc/PID/maps shows the file.
struct Name {
    path: fs::Path,
    inode: Arc<Inode>,
    root: fs::Path,
}

impl MapName for Name {
    fn identity(&self) -> (u64, u64) {
        (self.inode.sb().dev().encode(), self.inode.ino())
    }

    fn path(&self, out: &mut Vec<u8>) {
        // Without memory the name stays empty.
        if let Ok(path) = self.path.display_from(&self.root) {
            let _ = fs::memory::append(out, &path);
        }
    }
}
