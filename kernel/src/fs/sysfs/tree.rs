//! Files and directories of `/sys`, as the tables say: [`Node`] is a place in it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType};
use kiln_core::fs::dirent::Entry as Listed;
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::index::hash_name;

use super::{DEPTH, Entry, Family, Numbers, TABLES, Text, What};
use crate::fs::clock;
use crate::fs::file::FileOps;
use crate::fs::inode::{Emit, Inode, InodeOps, InodeParts};
use crate::fs::memory::{try_arc, try_copy, try_push};
use crate::fs::text::{TextFile, TextSource};

/// A place in `/sys`.
#[derive(Clone, Copy)]
pub(super) struct Node {
    /// Its path in the tables.
    path: &'static str,
    /// `None`: a directory.
    leaf: Option<What>,
    numbers: Numbers,
}

/// Families along a path in the tables.
fn families(path: &str) -> usize {
    path.bytes().filter(|byte| *byte == b'*').count()
}

/// The component of an entry's path that follows the directory `dir`, and whether more follows.
fn component(path: &'static str, dir: &str) -> Option<(&'static str, bool)> {
    let rest = match dir {
        "" => path,
        dir => path.strip_prefix(dir)?.strip_prefix('/')?,
    };
    match rest.split_once('/') {
        Some((name, _)) => Some((name, true)),
        None => Some((rest, false)),
    }
}

impl Node {
    /// The top.
    pub(super) const ROOT: Self = Self {
        path: "",
        leaf: None,
        numbers: [0; DEPTH],
    };

    fn kind(&self) -> FileType {
        match self.leaf {
            None => FileType::Directory,
            Some(What::Link(_) | What::FixedLink(_) | What::Links(..)) => FileType::Symlink,
            Some(_) => FileType::Regular,
        }
    }

    fn mode(&self) -> u32 {
        match self.leaf {
            None => 0o755,
            Some(What::Settable(..)) => 0o644,
            Some(What::Link(_) | What::FixedLink(_) | What::Links(..)) => 0o777,
            Some(_) => 0o444,
        }
    }

    /// A number that hardly another place has.
    fn ino(&self) -> u64 {
        let name = u64::from(hash_name(self.path.as_bytes()));
        let number = self.numbers.iter().fold(0, |all: u64, number| {
            all.wrapping_mul(257).wrapping_add(u64::from(*number))
        });
        2 + (name << 24 | number & 0xFF_FFFF)
    }

    /// The entries below this directory, each component once: the entry that stands for it, which
    /// is its own where there is one.
    fn entries(&self) -> Result<Vec<&'static Entry>, Errno> {
        let mut found: Vec<(&'static str, &'static Entry)> = Vec::new();
        let tables = TABLES.lock();
        for entry in tables.iter().copied().flatten() {
            let Some((name, more)) = component(entry.path, self.path) else {
                continue;
            };
            match found.iter_mut().find(|(other, _)| *other == name) {
                Some((_, first)) if !more => *first = entry,
                Some(_) => {}
                None => try_push(&mut found, (name, entry))?,
            }
        }
        drop(tables);
        let mut entries = Vec::new();
        entries
            .try_reserve_exact(found.len())
            .map_err(|_| Errno::ENOMEM)?;
        entries.extend(found.iter().map(|(_, entry)| *entry));
        Ok(entries)
    }

    /// Calls `each` with the names in this directory until it answers `false`.
    fn children(&self, mut each: impl FnMut(&[u8], Self) -> bool) -> Result<(), Errno> {
        for entry in self.entries()? {
            let Some((name, more)) = component(entry.path, self.path) else {
                continue;
            };
            let child = self.child(entry, name, more);
            let family = match entry.what {
                What::Directories(family) | What::Links(family, _) if !more => family,
                _ => {
                    if !name.contains('*') && !each(name.as_bytes(), child) {
                        return Ok(());
                    }
                    continue;
                }
            };
            if !self.members(&family, child, &mut each)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn child(&self, entry: &'static Entry, name: &str, more: bool) -> Self {
        let slash = usize::from(!self.path.is_empty());
        let length = self.path.len() + slash + name.len();
        let is_dir = more || matches!(entry.what, What::Directory | What::Directories(_));
        Self {
            path: entry.path.get(..length).unwrap_or(entry.path),
            leaf: (!is_dir).then_some(entry.what),
            numbers: self.numbers,
        }
    }

    /// A family's members, one after the other.
    fn members(
        &self,
        family: &Family,
        child: Self,
        each: &mut impl FnMut(&[u8], Self) -> bool,
    ) -> Result<bool, Errno> {
        let depth = families(self.path);
        let mut at = 0;
        while let Some(number) = (family.next)(&self.numbers, at) {
            let mut name = Text::default();
            (family.name)(number, &mut name)?;
            let mut member = child;
            if let Some(slot) = member.numbers.get_mut(depth) {
                *slot = number;
            }
            if !each(name.as_bytes(), member) {
                return Ok(false);
            }
            at = number.saturating_add(1);
        }
        Ok(true)
    }

    fn inode(self, dir: &Inode) -> Result<Arc<Inode>, Errno> {
        /// What Linux says of the size of a file here, whatever its text.
        const SIZE: u64 = 4096;
        let mut attr = Attr::new(self.kind(), self.mode(), 0, 0, clock::now());
        if attr.kind == FileType::Regular {
            attr.size = SIZE;
        }
        Inode::new(InodeParts {
            sb: Arc::clone(dir.sb()),
            ino: self.ino(),
            attr,
            mapping: None,
            ops: try_arc(self)?,
        })
    }

    /// Whether the names in it never change.
    fn is_fixed(&self) -> bool {
        let tables = TABLES.lock();
        let mut entries = tables.iter().copied().flatten();
        !entries.any(|entry| {
            component(entry.path, self.path).is_some_and(|(name, _)| name.contains('*'))
        })
    }
}

impl TextSource for Node {
    fn write_text(&self, out: &mut Text) -> Result<(), Errno> {
        match self.leaf {
            Some(What::Fixed(text)) => out.bytes(text.as_bytes()),
            Some(What::File(write) | What::Settable(write, _)) => write(&self.numbers, out),
            _ => Err(Errno::EIO),
        }
    }

    fn set(&self, value: &[u8]) -> Result<(), Errno> {
        match self.leaf {
            Some(What::Settable(_, set)) => set(&self.numbers, value),
            _ => Err(Errno::EIO),
        }
    }
}

impl InodeOps for Node {
    fn lookup(&self, dir: &Arc<Inode>, name: &[u8]) -> Result<Option<Arc<Inode>>, Errno> {
        let mut found = None;
        self.children(|other, node| {
            if other == name {
                found = Some(node);
            }
            found.is_none()
        })?;
        found.map(|node| node.inode(dir)).transpose()
    }

    fn makes_files(&self) -> bool {
        false
    }

    fn cacheable(&self) -> bool {
        self.is_fixed()
    }

    fn readdir(&self, _: &Arc<Inode>, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
        let mut at = 2;
        self.children(|name, node| {
            let entry = Listed {
                ino: node.ino(),
                kind: node.kind().dirent(),
                name,
            };
            let go_on = at < cursor || emit(&entry, at + 1);
            at += 1;
            go_on
        })
    }

    fn refresh(&self, inode: &Inode) -> Result<(), Errno> {
        if inode.kind() == FileType::Directory {
            let mut links = 2;
            self.children(|_, node| {
                links += u32::from(node.kind() == FileType::Directory);
                true
            })?;
            inode.update(|attr| attr.nlink = links);
        }
        Ok(())
    }

    fn readlink(&self, _: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        match self.leaf {
            Some(What::FixedLink(target)) => try_copy(target.as_bytes()),
            Some(What::Link(write) | What::Links(_, write)) => {
                let mut target = Text::default();
                write(&self.numbers, &mut target)?;
                Ok(target.into_bytes())
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn open(&self, inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        if inode.kind() != FileType::Regular || flags.has(kiln_core::abi::O_PATH) {
            return crate::fs::open_by_type(inode, flags);
        }
        let (reads, writes) = match self.leaf {
            Some(What::Settable(..)) => (true, true),
            _ => (true, false),
        };
        if flags.reads() && !reads || flags.writes() && !writes {
            return Err(Errno::EACCES);
        }
        Ok(try_arc(TextFile::new(try_arc(*self)?))?)
    }

    fn truncate(&self, _: &Arc<Inode>, _: u64) -> Result<(), Errno> {
        Ok(())
    }
}
