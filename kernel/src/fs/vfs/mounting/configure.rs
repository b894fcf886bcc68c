//! The interface of fsopen(2), fsconfig(2), fsmount(2), fspick(2) and open_tree(2): [`FsConfig`] is a file system
//! under configuration, [`TreeFile`] a mount that hangs nowhere.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;

use super::{file_system, reconfigure};
use crate::fs::context::Lookup;
use crate::fs::dentry::Dentry;
use crate::fs::file::{File, FileOps};
use crate::fs::memory::{append, try_copy};
use crate::fs::mount::{Mount, MountFlags, Namespace, Path};
use crate::fs::superblock::FileSystemType;
use crate::sched::Mutex;
use crate::vm::{IoDst, IoSrc};

/// Options that any file system has, the flags they stand for, and whether they set them.
const FLAGS: [(&str, MountFlags, bool); 9] = [
    ("ro", MountFlags::READ_ONLY, true),
    ("rw", MountFlags::READ_ONLY, false),
    ("sync", MountFlags::SYNC, true),
    ("async", MountFlags::SYNC, false),
    ("dirsync", MountFlags::DIR_SYNC, true),
    ("lazytime", MountFlags::LAZYTIME, true),
    ("nolazytime", MountFlags::LAZYTIME, false),
    ("mand", MountFlags::MAND, true),
    ("nomand", MountFlags::MAND, false),
];

/// How far a configuration is.
enum Phase {
    /// Options are taken.
    Options,
    /// The file system is there.
    Made(Arc<Dentry>),
    /// Its mount is there: nothing more can be done.
    Done,
    /// Something failed.
    Failed,
}

struct State {
    phase: Phase,
    source: Option<Vec<u8>>,
    /// Options, separated by commas.
    options: Vec<u8>,
    flags: MountFlags,
}

/// A file system under configuration.
pub(crate) struct FsConfig {
    kind: FileSystemType,
    /// The mount whose file system is changed; `None`: a new one is made.
    picked: Option<Path>,
    state: Mutex<State>,
}

impl FsConfig {
    /// Of a new file system of the type, or the one that `picked` shows.
    pub(crate) fn new(kind: FileSystemType, picked: Option<Path>) -> Self {
        let flags = picked
            .as_ref()
            .map_or(MountFlags::empty(), |at| at.mount.sb().flags());
        Self {
            kind,
            picked,
            state: Mutex::new(State {
                phase: Phase::Options,
                source: None,
                options: Vec::new(),
                flags,
            }),
        }
    }

    /// Takes an option: a flag when it has no value.
    pub(crate) fn set(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Options) {
            return Err(Errno::EBUSY);
        }
        if value.is_none()
            && let Some((_, flag, on)) = FLAGS.iter().find(|(name, ..)| name.as_bytes() == key)
        {
            state.flags.set(*flag, *on);
            return Ok(());
        }
        match (key, value) {
            (b"source", Some(value)) => {
                if state.source.is_some() {
                    return Err(Errno::EINVAL);
                }
                state.source = Some(try_copy(value)?);
            }
            (b"source", None) => return Err(Errno::EINVAL),
            _ => {
                if let Some(known) = self.kind.option {
                    known(key, value)?;
                }
                if !state.options.is_empty() {
                    append(&mut state.options, b",")?;
                }
                append(&mut state.options, key)?;
                if let Some(value) = value {
                    append(&mut state.options, b"=")?;
                    append(&mut state.options, value)?;
                }
            }
        }
        Ok(())
    }

    /// Makes the file system.
    pub(crate) fn create(&self, lookup: &Lookup<'_>) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if self.picked.is_some() || !matches!(state.phase, Phase::Options) {
            return Err(Errno::EBUSY);
        }
        let source = state.source.as_deref().unwrap_or_default();
        let made = file_system(lookup, &self.kind, source, state.flags, &state.options);
        state.phase = match &made {
            Ok(root) => Phase::Made(Arc::clone(root)),
            Err(_) => Phase::Failed,
        };
        made.map(drop)
    }

    /// Changes the file system that was picked.
    pub(crate) fn reconfigure(&self, lookup: &Lookup<'_>) -> Result<(), Errno> {
        let mut state = self.state.lock();
        let Some(picked) = &self.picked else {
            return Err(Errno::EBUSY);
        };
        if !matches!(state.phase, Phase::Options) {
            return Err(Errno::EBUSY);
        }
        let namespace = lookup.fs.namespace();
        reconfigure(namespace, &picked.mount, state.flags, &state.options)?;
        state.options.clear();
        Ok(())
    }

    /// The file system's first mount, which hangs nowhere.
    pub(crate) fn mount(&self, namespace: &Namespace, flags: MountFlags) -> Result<Path, Errno> {
        let mut state = self.state.lock();
        let root = match &state.phase {
            Phase::Made(root) => root,
            Phase::Done => return Err(Errno::EBUSY),
            _ if self.picked.is_some() => return Err(Errno::EBUSY),
            Phase::Options | Phase::Failed => return Err(Errno::EINVAL),
        };
        let source = match &state.source {
            Some(source) => try_copy(source)?,
            None => try_copy(b"none")?,
        };
        let mount = Mount::new(Arc::clone(root), flags, source)?;
        namespace.keep(&mount)?;
        state.phase = Phase::Done;
        Ok(Path::root_of(&mount))
    }
}

impl FileOps for FsConfig {
    fn read(&self, _: &File, _: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        // The log of what went wrong, which is kept empty.
        Err(Errno::ENODATA)
    }

    fn write(&self, _: &File, _: &mut IoSrc<'_>, _: &mut u64) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    fn is_stream(&self) -> bool {
        true
    }
}

/// What stands for a mount that hangs nowhere: it is gone with its last descriptor unless it was
/// moved into the tree.
pub(crate) struct TreeFile {
    namespace: Arc<Namespace>,
}

impl TreeFile {
    /// Of a mount of the namespace's.
    pub(crate) fn new(namespace: &Arc<Namespace>) -> Self {
        Self {
            namespace: Arc::clone(namespace),
        }
    }
}

impl FileOps for TreeFile {
    fn release(&self, file: &File) {
        let mount = &file.path.mount;
        if !self.namespace.contains(mount) && mount.place().is_none() {
            self.namespace.dissolve(mount);
        }
    }
}
