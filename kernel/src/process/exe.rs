//! [`Executable`]: a program's file while it is run. Nobody may write to it meanwhile (`ETXTBSY`).

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::flags::OpenFlags;

use crate::fs::{self, File, Inode};
use crate::mm::kmem;
use crate::vm::loader::ImageFile;
use crate::vm::{IoDst, MapName, Mapping};

/// A program's file.
pub(crate) struct Executable {
    file: Arc<File>,
}

impl Executable {
    /// Opens what is known to be executable, whether or not it can be read, and keeps writers out
    /// as long as the value lives.
    ///
    /// # Errors
    /// `ETXTBSY` when there are writers, `ENOMEM`, and those of the file system.
    pub(super) fn open(path: fs::Path) -> Result<Arc<Self>, Errno> {
        let flags = OpenFlags {
            raw: abi::O_RDONLY,
            mode: 0,
        };
        let inode = Arc::clone(path.inode()?);
        let ops = inode.ops().open(&inode, flags)?;
        let file = File::new(path, ops, flags)?;
        let _charge = kmem::charge(size_of::<Self>() + 16)?;
        inode.deny_writing()?;
        Ok(Arc::new(Self { file }))
    }

    /// Where it was found.
    pub(crate) fn path(&self) -> &fs::Path {
        &self.file.path
    }

    /// It, open.
    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// The file.
    pub(crate) fn inode(&self) -> &Arc<Inode> {
        &self.file.inode
    }
}

impl Drop for Executable {
    fn drop(&mut self) {
        self.inode().allow_writing();
    }
}

impl ImageFile for Executable {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        self.file.read_at(&mut IoDst::kernel(into), offset)
    }

    fn mapping(&self) -> Option<Arc<Mapping>> {
        match self.file.ops.mapping(&self.file) {
            Ok(fs::MapSource::File(mapping)) => Some(mapping),
            _ => None,
        }
    }

    fn name(&self) -> Option<Arc<dyn MapName>> {
        // Not the program's own object: that would keep writers out of what is only mapped.
        let name: Arc<File> = Arc::clone(&self.file);
        Some(name)
    }
}
