//! `/sys`: the devices there are and what the kernel tells of itself, one value in a file (sysfs(5)).
//!
//! The tree is made of tables of [`Entry`], each as it lies in the image: whoever has something to
//! tell registers one ([`register`]). An entry's path may go through *families*, components with a
//! star in the table: `devices/system/cpu/cpu*/online` stands for the file of every CPU, and
//! the entry `devices/system/cpu/cpu*` itself says which there are ([`Family`]).
//!
//! [`tree`] makes files and directories of the tables, [`system`], [`cpu`] and [`block`] have the entries that
//! this room can write by itself. Nothing is made before it is looked at.

mod block;
mod cpu;
mod system;
mod tree;

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::fs::stat::StatFs;

use super::inode::Inode;
use super::memory::{try_arc, try_box, try_push};
use super::superblock::{
    FileSystemType, MountRequest, SuperBlock, SuperOps, check_options, no_option,
};
use crate::sync::{Once, SpinLock};

pub(crate) use super::text::Text;

/// The type `sysfs`: every mount shows the same tree.
pub(crate) const TYPE: FileSystemType = FileSystemType {
    name: "sysfs",
    driver: None,
    option: Some(no_option),
    mount: |request: &MountRequest<'_>| {
        check_options(request.options, no_option)?;
        root()
    },
};

/// Which members of the families along its path an entry is of, in their order:
/// `cpu3/cache/index1` has `[3, 1]`.
pub(crate) type Numbers = [u32; DEPTH];

/// Families that a path can go through.
const DEPTH: usize = 4;

/// Writes a file's text, a link's target, or the name of a family's member, whose number is the
/// last one.
pub(crate) type Write = fn(&Numbers, &mut Text) -> Result<(), Errno>;

/// Takes what is written to a file.
pub(crate) type Set = fn(&Numbers, &[u8]) -> Result<(), Errno>;

/// Something in `/sys`.
pub(crate) struct Entry {
    /// Its path below `/sys`. Directories above it need no entry of their own.
    pub(crate) path: &'static str,
    /// What it is.
    pub(crate) what: What,
}

/// What an entry is.
#[derive(Clone, Copy)]
pub(crate) enum What {
    /// A directory, there even when nothing is in it.
    Directory,
    /// A file whose text never changes.
    Fixed(&'static str),
    /// A file that everybody may read.
    File(Write),
    /// A file that the superuser may write too.
    Settable(Write, Set),
    /// A link.
    Link(Write),
    /// A link that always leads to the same place.
    FixedLink(&'static str),
    /// A directory for each member.
    Directories(Family),
    /// A link for each member.
    Links(Family, Write),
}

/// Names that there are as many of as of something else.
#[derive(Clone, Copy)]
pub(crate) struct Family {
    /// The lowest number of a member, not below the second argument; the first has the numbers of
    /// the families above.
    pub(crate) next: fn(&Numbers, u32) -> Option<u32>,
    /// A member's name.
    pub(crate) name: Name,
}

/// Writes the name of a member.
pub(crate) type Name = fn(u32, &mut Text) -> Result<(), Errno>;

impl Entry {
    /// A file with a text that never changes.
    pub(crate) const fn fixed(path: &'static str, text: &'static str) -> Self {
        Self {
            path,
            what: What::Fixed(text),
        }
    }

    /// A file that everybody may read.
    pub(crate) const fn file(path: &'static str, write: Write) -> Self {
        Self {
            path,
            what: What::File(write),
        }
    }

    /// A link that always leads to the same place.
    pub(crate) const fn link(path: &'static str, target: &'static str) -> Self {
        Self {
            path,
            what: What::FixedLink(target),
        }
    }

    /// An empty directory.
    pub(crate) const fn directory(path: &'static str) -> Self {
        Self {
            path,
            what: What::Directory,
        }
    }

    /// A family of directories.
    pub(crate) const fn family(path: &'static str, family: Family) -> Self {
        Self {
            path,
            what: What::Directories(family),
        }
    }
}

/// The rooms' tables.
static TABLES: SpinLock<Vec<&'static [Entry]>> = SpinLock::new(Vec::new());

/// Adds a table.
pub(crate) fn register(entries: &'static [Entry]) -> Result<(), Errno> {
    try_push(&mut TABLES.lock(), entries)
}

struct Super;

impl SuperOps for Super {
    fn statfs(&self) -> Result<StatFs, Errno> {
        /// `SYSFS_MAGIC` (linux/magic.h).
        const MAGIC: u32 = 0x6265_6572;
        Ok(StatFs {
            magic: MAGIC,
            block_size: 4096,
            name_max: 255,
            ..StatFs::default()
        })
    }
}

fn root() -> Result<Arc<Inode>, Errno> {
    static ROOT: Once<Arc<Inode>> = Once::new();
    let root = ROOT.try_call_once(|| {
        register(system::ENTRIES)?;
        register(cpu::ENTRIES)?;
        register(block::ENTRIES)?;
        let sb = SuperBlock::new("sysfs", try_box(Super)?)?;
        Inode::told_root(sb, try_arc(tree::Node::ROOT)?)
    })?;
    Ok(Arc::clone(root))
}
