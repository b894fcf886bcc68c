//! procfs: a file system whose tree is computed at each look.
//!
//! The rooms above say what there is: a tree of [`Node`]s, from the root that [`set_root`] gets. A file's text is made
//! when it is read at its beginning, and kept for the rest of the reading. Inode numbers are made
//! from the path, so that they are the same at each look; nothing is cached.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType};
use kiln_core::fs::dirent::Entry;
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::stat::StatFs;
use kiln_core::num::{u64_of, usize_of};
use kiln_core::path::Link;

use super::clock;
use super::directory;
use super::file::{File, FileOps};
use super::inode::{Emit, Inode, InodeOps, InodeParts};
use super::memory::{try_arc, try_box};
use super::mount::Path;
use super::superblock::{FileSystemType, MountRequest, SuperBlock, SuperOps, register};
use crate::sched::Mutex;
use crate::sync::Once;
use crate::vm::{IoDst, IoSrc};

/// Something in the tree.
#[derive(Clone)]
pub(crate) enum Node {
    /// A directory.
    Dir(Arc<dyn ProcDir>),
    /// A text.
    File(Arc<dyn ProcFile>),
    /// A symbolic link.
    Link(Arc<dyn ProcLink>),
}

/// Who owns a node and what may be done with it.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    /// Permission bits.
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
}

impl Access {
    /// Root's, with these permissions.
    pub(crate) const fn root(mode: u32) -> Self {
        Self { mode, uid: 0, gid: 0 }
    }
}

/// Takes names, their types, and the cursor after each; `false` stops the listing.
pub(crate) type EmitName<'a> = dyn FnMut(&[u8], FileType, u64) -> bool + 'a;

/// A directory's contents.
pub(crate) trait ProcDir: Send + Sync {
    /// Owner and permissions.
    fn access(&self) -> Access {
        Access::root(0o555)
    }
    /// The child of that name.
    fn lookup(&self, name: &[u8]) -> Result<Option<Node>, Errno>;
    /// The children from `cursor` on; the first is 0.
    fn list(&self, cursor: u64, emit: &mut EmitName<'_>) -> Result<(), Errno>;
}

/// A file's contents.
pub(crate) trait ProcFile: Send + Sync {
    /// Owner and permissions.
    fn access(&self) -> Access {
        Access::root(0o444)
    }
    /// The whole text now.
    fn text(&self, out: &mut Text) -> Result<(), Errno>;
    /// Takes what is written, in one piece.
    fn write(&self, bytes: &[u8]) -> Result<(), Errno> {
        let _ = bytes;
        Err(Errno::EIO)
    }
}

/// A link's target.
pub(crate) trait ProcLink: Send + Sync {
    /// Owner and permissions.
    fn access(&self) -> Access {
        Access::root(0o777)
    }
    /// The text that `readlink` shows.
    fn target(&self) -> Result<Vec<u8>, Errno>;
    /// Where it leads.
    fn follow(&self) -> Result<Link<Path>, Errno> {
        self.target().map(Link::Text)
    }
}

/// A text under construction, whose memory may run out.
#[derive(Default)]
pub(crate) struct Text(Vec<u8>);

impl Text {
    /// Appends bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.0.try_reserve(bytes.len()).map_err(|_| Errno::ENOMEM)?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends formatted text: what `write!` calls.
    pub(crate) fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> Result<(), Errno> {
        fmt::Write::write_fmt(&mut Sink(self), arguments).map_err(|_| Errno::ENOMEM)
    }
}

struct Sink<'a>(&'a mut Text);

impl fmt::Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

static ROOT: Once<Arc<dyn ProcDir>> = Once::new();

/// Says what stands in the root directory, and makes `proc` known to `mount`.
pub(crate) fn set_root(root: Arc<dyn ProcDir>) -> Result<(), Errno> {
    ROOT.call_once(|| root);
    register(FileSystemType { name: "proc", needs_device: false, mount })
}

struct Super;

impl SuperOps for Super {
    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs {
            magic: abi::PROC_SUPER_MAGIC,
            block_size: 4096,
            name_max: 255,
            ..StatFs::default()
        })
    }
}

fn mount(_: &MountRequest<'_>) -> Result<Arc<Inode>, Errno> {
    let root = ROOT.get().ok_or(Errno::ENODEV)?;
    let sb = SuperBlock::new("proc", try_box(Super)?)?;
    inode(sb, ROOT_INO, Node::Dir(Arc::clone(root)))
}

/// Linux's `PROC_ROOT_INO`.
const ROOT_INO: u64 = 1;

/// The inode number of `name` in the directory with number `parent`: FNV-1a, kept to 32 bits,
/// which every program can hold.
fn child_ino(parent: u64, name: &[u8]) -> u64 {
    let bytes = parent.to_le_bytes();
    let hash = bytes.iter().chain(name).fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3)
    });
    (hash ^ hash >> 32) & 0xFFFF_FFFF | 0x100
}

fn inode(sb: Arc<SuperBlock>, ino: u64, node: Node) -> Result<Arc<Inode>, Errno> {
    let (kind, access) = match &node {
        Node::Dir(dir) => (FileType::Directory, dir.access()),
        Node::File(file) => (FileType::Regular, file.access()),
        Node::Link(link) => (FileType::Symlink, link.access()),
    };
    let mut attr = Attr::new(kind, access.mode, access.uid, access.gid, clock::now());
    attr.nlink = if kind == FileType::Directory { 2 } else { 1 };
    Inode::new(InodeParts { sb, ino, attr, mapping: None, ops: try_arc(Ops(node))? })
}

struct Ops(Node);

impl InodeOps for Ops {
    fn lookup(&self, dir: &Arc<Inode>, name: &[u8]) -> Result<Option<Arc<Inode>>, Errno> {
        let Node::Dir(node) = &self.0 else { return Err(Errno::ENOTDIR) };
        let Some(child) = node.lookup(name)? else { return Ok(None) };
        let ino = child_ino(dir.ino(), name);
        inode(Arc::clone(dir.sb()), ino, child).map(Some)
    }

    fn cacheable(&self) -> bool {
        false
    }

    fn readdir(&self, dir: &Arc<Inode>, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
        let Node::Dir(node) = &self.0 else { return Err(Errno::ENOTDIR) };
        // The VFS keeps 0 and 1 for `.` and `..`.
        node.list(cursor.saturating_sub(2), &mut |name, kind, next| {
            let ino = child_ino(dir.ino(), name);
            emit(&Entry { ino, kind: kind.dirent(), name }, next.saturating_add(2))
        })
    }

    fn readlink(&self, _: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        match &self.0 {
            Node::Link(link) => link.target(),
            _ => Err(Errno::EINVAL),
        }
    }

    fn follow(&self, _: &Arc<Inode>) -> Result<Link<Path>, Errno> {
        match &self.0 {
            Node::Link(link) => link.follow(),
            _ => Err(Errno::EINVAL),
        }
    }

    fn open(&self, _: &Arc<Inode>, _: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        match &self.0 {
            Node::Dir(_) => Ok(directory::ops()),
            Node::File(file) => {
                Ok(try_arc(OpenText { file: Arc::clone(file), text: Mutex::new(Text::default()) })?)
            }
            Node::Link(_) => Err(Errno::ELOOP),
        }
    }

    /// Truncation on opening for writing means nothing here, as on Linux.
    fn truncate(&self, _: &Arc<Inode>, _: u64) -> Result<(), Errno> {
        Ok(())
    }
}

/// A file being read.
struct OpenText {
    file: Arc<dyn ProcFile>,
    text: Mutex<Text>,
}

/// Bytes that a write to a file of `/proc` may have.
const WRITE_MAX: usize = 4096;

impl FileOps for OpenText {
    fn read(&self, _: &File, dst: &mut IoDst<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let mut text = self.text.lock();
        if *pos == 0 {
            let mut fresh = Text::default();
            self.file.text(&mut fresh)?;
            *text = fresh;
        }
        let rest = text.0.get(usize_of(*pos)..).unwrap_or_default();
        let count = dst.put(rest)?;
        *pos += u64_of(count);
        Ok(count)
    }

    fn write(&self, _: &File, src: &mut IoSrc<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let mut bytes = [0; 256];
        let len = src.remaining();
        if len > WRITE_MAX {
            return Err(Errno::EINVAL);
        }
        let count = src.take(&mut bytes)?;
        self.file.write(bytes.get(..count).unwrap_or_default())?;
        *pos += u64_of(len);
        Ok(len)
    }
}

/// A directory with a fixed list of children.
pub(crate) struct Fixed(pub(crate) &'static [(&'static str, fn() -> Result<Node, Errno>)]);

impl ProcDir for Fixed {
    fn lookup(&self, name: &[u8]) -> Result<Option<Node>, Errno> {
        let found = self.0.iter().find(|(known, _)| known.as_bytes() == name);
        found.map(|(_, make)| make()).transpose()
    }

    fn list(&self, cursor: u64, emit: &mut EmitName<'_>) -> Result<(), Errno> {
        for (at, (name, make)) in (0u64..).zip(self.0).skip(usize_of(cursor)) {
            if !emit(name.as_bytes(), make()?.kind(), at + 1) {
                break;
            }
        }
        Ok(())
    }
}

impl Node {
    /// A directory.
    pub(crate) fn dir(dir: impl ProcDir + 'static) -> Result<Self, Errno> {
        Ok(Self::Dir(try_arc(dir)?))
    }

    /// A text.
    pub(crate) fn file(file: impl ProcFile + 'static) -> Result<Self, Errno> {
        Ok(Self::File(try_arc(file)?))
    }

    /// A symbolic link.
    pub(crate) fn link(link: impl ProcLink + 'static) -> Result<Self, Errno> {
        Ok(Self::Link(try_arc(link)?))
    }

    /// Its type.
    pub(crate) fn kind(&self) -> FileType {
        match self {
            Self::Dir(_) => FileType::Directory,
            Self::File(_) => FileType::Regular,
            Self::Link(_) => FileType::Symlink,
        }
    }
}
