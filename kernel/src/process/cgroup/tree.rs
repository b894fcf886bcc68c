//! The file system `cgroup2`: a directory for every control group, the same tree wherever it is mounted.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType};
use kiln_core::fs::dirent::Entry;
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::stat::StatFs;

use super::files::{File, Known};
use super::freeze::POPULATED;
use super::{Cgroup, Child, TREE};
use crate::fs::inode::{Emit, NewInode};
use crate::fs::memory::{append, try_arc, try_box, try_copy, try_push};
use crate::fs::procfs::Text;
use crate::fs::text::{Changes, TextFile, TextSource};
use crate::fs::{
    FileOps, FileSystemType, Inode, InodeOps, InodeParts, MountRequest, SuperBlock, SuperOps,
    clock, notify,
};
use crate::sync::Once;

/// The type.
pub(in crate::process) const TYPE: FileSystemType = FileSystemType {
    name: "cgroup2",
    driver: None,
    option: Some(check_option),
    mount,
};

/// linux/magic.h.
const CGROUP2_SUPER_MAGIC: u32 = 0x6367_7270;
/// Cursors of files begin here; those of groups behind them.
const FIRST_FILE: u64 = 2;
const FIRST_GROUP: u64 = 1 << 32;

/// The root, from the first mount on.
pub(super) static ROOT: Once<Child> = Once::new();

/// Linux's options, each with its comma; they change nothing where there is one namespace and no memory controller.
static OPTIONS: [&[u8]; 4] = [
    b",nsdelegate",
    b",favordynmods",
    b",memory_localevents",
    b",memory_recursiveprot",
];
/// Which of them were given last, a bit each: those count, for every mount.
static GIVEN: AtomicU32 = AtomicU32::new(0);

struct Super;

impl SuperOps for Super {
    fn reconfigure(&self, options: &[u8]) -> Result<(), Errno> {
        let mut given = 0;
        for option in options.split(|byte| *byte == b',') {
            if !option.is_empty() {
                given |= bit_of(option)?;
            }
        }
        GIVEN.store(given, Ordering::Relaxed);
        Ok(())
    }

    fn options(&self) -> alloc::vec::Vec<u8> {
        let mut shown = alloc::vec::Vec::new();
        let given = GIVEN.load(Ordering::Relaxed);
        for (at, option) in OPTIONS.iter().enumerate() {
            if given >> at & 1 != 0 {
                // What there is no memory for isn't shown.
                let _ = append(&mut shown, option);
            }
        }
        shown
    }

    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs {
            magic: CGROUP2_SUPER_MAGIC,
            block_size: 4096,
            name_max: 255,
            ..StatFs::default()
        })
    }
}

/// The bit of an option in [`GIVEN`].
fn bit_of(option: &[u8]) -> Result<u32, Errno> {
    let is = |known: &&[u8]| known.get(1..) == Some(option);
    OPTIONS
        .iter()
        .position(is)
        .map_or(Err(Errno::EINVAL), |at| Ok(1 << at))
}

fn check_option(name: &[u8], value: Option<&[u8]>) -> Result<(), Errno> {
    match value {
        Some(_) => Err(Errno::EINVAL),
        None => bit_of(name).map(drop),
    }
}

fn mount(request: &MountRequest<'_>) -> Result<Arc<Inode>, Errno> {
    Super.reconfigure(request.options)?;
    Ok(Arc::clone(&root()?.inode))
}

fn root() -> Result<&'static Child, Errno> {
    ROOT.try_call_once(|| {
        let sb = SuperBlock::new("cgroup2", try_box(Super)?)?;
        let group = try_arc(Cgroup::new(None, Box::default(), sb.new_ino()))?;
        let attr = Attr::new(FileType::Directory, 0o555, 0, 0, clock::now());
        directory(sb, group, attr)
    })
}

/// A group with its directory.
fn directory(sb: Arc<SuperBlock>, group: Arc<Cgroup>, mut attr: Attr) -> Result<Child, Errno> {
    attr.nlink = 2;
    let inode = Inode::new(InodeParts {
        sb,
        ino: group.ino,
        attr,
        mapping: None,
        ops: try_arc(Node {
            group: Arc::clone(&group),
            file: None,
        })?,
    })?;
    group.directory.call_once(|| Arc::downgrade(&inode));
    Ok(Child { group, inode })
}

/// The group whose directory an inode is.
pub(super) fn directory_of(inode: &Inode) -> Option<Arc<Cgroup>> {
    let node: &Node = inode.ops_as()?;
    node.file.is_none().then(|| Arc::clone(&node.group))
}

/// A directory or a file of a group.
struct Node {
    group: Arc<Cgroup>,
    file: Option<File>,
}

impl Cgroup {
    /// The inode of one of its files.
    ///
    /// # Errors
    /// `ENOENT` for one that it hasn't or when it was removed, `ENOMEM`.
    pub(super) fn inode_of(self: &Arc<Self>, file: File) -> Result<Arc<Inode>, Errno> {
        let known = self.files().find(|known| known.file == file);
        let known = known.filter(|_| !self.is_removed()).ok_or(Errno::ENOENT)?;
        if let Some(inode) = self.inode_made(file) {
            return Ok(inode);
        }
        let dir = self.directory.get().and_then(alloc::sync::Weak::upgrade);
        let sb = dir.ok_or(Errno::ENOENT)?.sb().clone();
        let attr = Attr::new(FileType::Regular, known.mode, 0, 0, clock::now());
        let inode = Inode::new(InodeParts {
            ino: sb.new_ino(),
            sb,
            attr,
            mapping: None,
            ops: try_arc(Node {
                group: Arc::clone(self),
                file: Some(file),
            })?,
        })?;
        let mut inodes = self.inodes.lock();
        if let Some((_, first)) = inodes.iter().find(|(other, _)| *other == file) {
            return Ok(Arc::clone(first));
        }
        if self.is_removed() {
            // Nobody would take it out again, and it holds the group.
            return Err(Errno::ENOENT);
        }
        try_push(&mut inodes, (file, Arc::clone(&inode)))?;
        Ok(inode)
    }

    fn inode_made(&self, file: File) -> Option<Arc<Inode>> {
        let inodes = self.inodes.lock();
        let found = inodes.iter().find(|(other, _)| *other == file);
        found.map(|(_, inode)| Arc::clone(inode))
    }

    /// Tells inotify's watchers that a file has another text.
    pub(super) fn told_of(&self, file: File) {
        let dir = self.directory.get().and_then(alloc::sync::Weak::upgrade);
        let Some(inode) = self.inode_made(file) else {
            return;
        };
        if let Some(known) = self.files().find(|known| known.file == file) {
            notify::modified(dir.as_ref(), known.name.as_bytes(), &inode);
        }
    }

    /// `EAGAIN` when the tree may not grow below it.
    fn may_grow(&self) -> Result<(), Errno> {
        for (depth, group) in (1..).zip(self.above()) {
            let full = group.descendants.load(Ordering::Relaxed)
                >= group.max_descendants.load(Ordering::Relaxed);
            if full || depth > group.max_depth.load(Ordering::Relaxed) {
                return Err(Errno::EAGAIN);
            }
        }
        Ok(())
    }

    /// Takes an empty group out of the tree.
    fn take_out(&self, name: &[u8]) -> Result<Child, Errno> {
        let _tree = TREE.lock();
        let mut children = self.children.lock();
        let at = children.iter().position(|child| *child.group.name == *name);
        let at = at.ok_or(Errno::ENOENT)?;
        let child = children.get(at).ok_or(Errno::ENOENT)?;
        let group = &child.group;
        if group.tasks.load(Ordering::Relaxed) > 0 || !group.children.lock().is_empty() {
            return Err(Errno::EBUSY);
        }
        group.removed.store(true, Ordering::Relaxed);
        for above in self.above() {
            above.descendants.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(children.remove(at))
    }
}

impl Node {
    fn child(&self, name: &[u8]) -> Option<Arc<Inode>> {
        let children = self.group.children.lock();
        let found = children.iter().find(|child| *child.group.name == *name);
        found.map(|child| Arc::clone(&child.inode))
    }

    /// The first child from a number on, with its name.
    fn child_from(&self, ino: u64) -> Result<Option<(alloc::vec::Vec<u8>, u64)>, Errno> {
        let children = self.group.children.lock();
        let behind = children.iter().filter(|child| child.group.ino >= ino);
        let next = behind.min_by_key(|child| child.group.ino);
        next.map(|child| Ok((try_copy(&child.group.name)?, child.group.ino)))
            .transpose()
    }

    fn list_files(&self, cursor: u64, emit: &mut Emit<'_>) -> Result<bool, Errno> {
        for (known, at) in self.group.files().zip(FIRST_FILE..) {
            if at < cursor {
                continue;
            }
            let entry = Entry {
                ino: self.group.inode_of(known.file)?.ino(),
                kind: FileType::Regular.dirent(),
                name: known.name.as_bytes(),
            };
            if !emit(&entry, at + 1) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl InodeOps for Node {
    fn lookup(&self, _: &Arc<Inode>, name: &[u8]) -> Result<Option<Arc<Inode>>, Errno> {
        if self.group.is_removed() {
            return Ok(None);
        }
        if let Some(inode) = self.child(name) {
            return Ok(Some(inode));
        }
        let matches = |known: &&Known| known.name.as_bytes() == name;
        let known = self.group.files().find(matches);
        known
            .map(|known| self.group.inode_of(known.file))
            .transpose()
    }

    /// Files come and go with controllers.
    fn cacheable(&self) -> bool {
        false
    }

    fn makes_files(&self) -> bool {
        false
    }

    fn create(
        &self,
        dir: &Arc<Inode>,
        name: &[u8],
        new: &NewInode<'_>,
    ) -> Result<Arc<Inode>, Errno> {
        if new.kind != FileType::Directory {
            return Err(Errno::EPERM);
        }
        // Each is a line in `/proc/PID/cgroup`.
        if name.contains(&b'\n') {
            return Err(Errno::EINVAL);
        }
        self.group.may_grow()?;
        let sb = Arc::clone(dir.sb());
        let name = try_copy(name)?.into_boxed_slice();
        let parent = Some(Arc::clone(&self.group));
        let group = try_arc(Cgroup::new(parent, name, sb.new_ino()))?;
        group
            .told
            .store(group.events() & !POPULATED, Ordering::Relaxed);
        let attr = Attr::new(
            FileType::Directory,
            new.mode,
            new.uid,
            new.gid,
            clock::now(),
        );
        let child = directory(sb, group, attr)?;
        let inode = Arc::clone(&child.inode);
        let _tree = TREE.lock();
        if self.group.is_removed() {
            return Err(Errno::ENOENT);
        }
        try_push(&mut self.group.children.lock(), child)?;
        for above in self.group.above() {
            above.descendants.fetch_add(1, Ordering::Relaxed);
        }
        dir.update(|attr| attr.nlink += 1);
        Ok(inode)
    }

    fn rmdir(&self, dir: &Arc<Inode>, name: &[u8], victim: &Arc<Inode>) -> Result<(), Errno> {
        if self.child(name).is_none() {
            return Err(Errno::ENOTDIR);
        }
        let gone = self.group.take_out(name)?;
        // They hold the group, which held them.
        let inodes = core::mem::take(&mut *gone.group.inodes.lock());
        drop(inodes);
        victim.update(|attr| attr.nlink = 0);
        dir.update(|attr| attr.nlink = attr.nlink.saturating_sub(1));
        Ok(())
    }

    fn readdir(&self, _: &Arc<Inode>, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
        if cursor < FIRST_GROUP && !self.list_files(cursor, emit)? {
            return Ok(());
        }
        let mut from = cursor.saturating_sub(FIRST_GROUP);
        while let Some((name, ino)) = self.child_from(from)? {
            from = ino + 1;
            let entry = Entry {
                ino,
                kind: FileType::Directory.dirent(),
                name: &name,
            };
            if !emit(&entry, FIRST_GROUP + from) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn open(&self, inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        match self.file {
            Some(file) if !flags.has(abi::O_PATH) => {
                let group = Arc::clone(&self.group);
                let source = try_arc(Self {
                    group,
                    file: Some(file),
                })?;
                Ok(try_arc(TextFile::new(source))?)
            }
            _ => crate::fs::open_by_type(inode, flags),
        }
    }

    fn truncate(&self, _: &Arc<Inode>, _: u64) -> Result<(), Errno> {
        Ok(())
    }
}

impl TextSource for Node {
    fn write_text(&self, out: &mut Text) -> Result<(), Errno> {
        if self.group.is_removed() {
            return Err(Errno::ENODEV);
        }
        self.group.tell(self.file.ok_or(Errno::EISDIR)?, out)
    }

    fn set(&self, value: &[u8]) -> Result<(), Errno> {
        self.group.set(self.file.ok_or(Errno::EISDIR)?, value)
    }

    fn changes(&self) -> Option<&Changes> {
        self.group.changes_of(self.file?)
    }
}
