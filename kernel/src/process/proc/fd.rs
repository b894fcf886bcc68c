//! `/proc/PID/fd` and `/proc/PID/fdinfo`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::path::Link;

use super::{list_numbers, number};
use crate::fs::procfs::{Access, EmitName, Node, ProcDir, ProcFile, ProcLink, Text};
use crate::fs::{File, Path};
use crate::process::Task;

/// The links to a task's open files.
pub(super) struct FdDir(pub(super) Arc<Task>);

/// Position and flags of a task's open files.
pub(super) struct FdInfoDir(pub(super) Arc<Task>);

fn file(task: &Task, name: &[u8]) -> Result<Option<Arc<File>>, Errno> {
    // `0` is a number here, unlike for processes.
    let fd = if name == b"0" { Some(0) } else { number(name) };
    let Some(fd) = fd.and_then(|fd| i32::try_from(fd).ok()) else { return Ok(None) };
    match task.files()?.get(fd) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::EBADF) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn access(task: &Task, mode: u32) -> Access {
    let creds = task.creds();
    Access { mode, uid: creds.uids.effective, gid: creds.gids.effective }
}

impl ProcDir for FdDir {
    fn access(&self) -> Access {
        access(&self.0, 0o500)
    }
    fn lookup(&self, name: &[u8]) -> Result<Option<Node>, Errno> {
        let file = file(&self.0, name)?;
        file.map(|file| Node::link(FdLink { access: access(&self.0, 0o700), file })).transpose()
    }
    fn list(&self, cursor: u64, emit: &mut EmitName<'_>) -> Result<(), Errno> {
        list_numbers(self.0.files()?.open_numbers()?, FileType::Symlink, cursor, emit)
    }
}

impl ProcDir for FdInfoDir {
    fn access(&self) -> Access {
        access(&self.0, 0o500)
    }
    fn lookup(&self, name: &[u8]) -> Result<Option<Node>, Errno> {
        let file = file(&self.0, name)?;
        file.map(|file| Node::file(FdInfo(file))).transpose()
    }
    fn list(&self, cursor: u64, emit: &mut EmitName<'_>) -> Result<(), Errno> {
        list_numbers(self.0.files()?.open_numbers()?, FileType::Regular, cursor, emit)
    }
}

struct FdLink {
    access: Access,
    file: Arc<File>,
}

impl ProcLink for FdLink {
    fn access(&self) -> Access {
        // The owner's bits say how the file is open.
        let flags = self.file.flags() & 3;
        let read = if flags == 1 { 0 } else { 0o400 };
        let write = if flags == 0 { 0 } else { 0o200 };
        Access { mode: 0o100 | read | write, ..self.access }
    }
    fn target(&self) -> Result<Vec<u8>, Errno> {
        self.file.path.display_from(&crate::process::current_root()?)
    }
    fn follow(&self) -> Result<Link<Path>, Errno> {
        Ok(Link::Jump(self.file.path.clone()))
    }
}

struct FdInfo(Arc<File>);

impl ProcFile for FdInfo {
    fn text(&self, out: &mut Text) -> Result<(), Errno> {
        let file = &self.0;
        write!(out, "pos:\t{}\nflags:\t0{:o}\n", file.position(), file.flags())?;
        write!(out, "mnt_id:\t{}\nino:\t{}\n", file.path.mount.id(), file.inode.ino())
    }
}
