//! Open directories: `.` and `..`, then what the file system lists.

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::dirent::Entry;

use super::file::{File, FileOps};
use super::inode::Emit;
use crate::sync::Once;
use crate::vm::IoDst;

/// The operations of directories; they keep nothing of their own.
struct Directory;

/// The one object that all directories share.
pub(crate) fn ops() -> Arc<dyn FileOps> {
    static OPS: Once<Arc<Directory>> = Once::new();
    Arc::<Directory>::clone(OPS.call_once(|| Arc::new(Directory)))
}

impl FileOps for Directory {
    fn read(&self, _: &File, _: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn readdir(&self, file: &File, pos: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
        let inode = &file.inode;
        let guard = inode.lock.lock();
        if inode.is_dead() {
            return Err(Errno::ENOENT);
        }
        let parent = match pos {
            0 | 1 => file.path.parent().inode()?.ino(),
            _ => 0,
        };
        for (at, ino, name) in [(0, inode.ino(), &b"."[..]), (1, parent, b"..")] {
            let entry = Entry {
                ino,
                kind: inode.kind().dirent(),
                name,
            };
            if pos <= at && !emit(&entry, at + 1) {
                return Ok(());
            }
        }
        inode.ops().readdir(inode, pos.max(2), emit)?;
        drop(guard);
        if !file.has(abi::O_NOATIME) {
            file.path.mount.accessed(inode);
        }
        Ok(())
    }

    fn can_poll(&self) -> bool {
        false
    }

    fn sync(&self, file: &File, data_only: bool) -> Result<(), Errno> {
        file.inode.ops().sync(&file.inode, data_only)
    }
}
