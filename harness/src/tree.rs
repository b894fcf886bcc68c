//! A file tree on its way into a root image: [`Tree`], filled from a directory ([`Tree::scan`]) or
//! node by node (`recipe`), and written by `erofs_write`.
//!
//! Owners, modes, times, links, devices and extended attributes are as the directory has them; no
//! rights are needed but to read it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::archive::Piece;

/// File type bits of a mode (inode(7)).
pub const S_IFMT: u32 = 0o170_000;
/// A directory's.
pub const S_IFDIR: u32 = 0o040_000;
/// A regular file's.
pub const S_IFREG: u32 = 0o100_000;
/// A symbolic link's.
pub const S_IFLNK: u32 = 0o120_000;

/// What a node holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// Names and the nodes they lead to.
    Dir(BTreeMap<Vec<u8>, usize>),
    /// Bytes of a file of the host.
    File {
        /// Where they are.
        path: PathBuf,
        /// How many there were when the tree was scanned.
        size: u64,
    },
    /// Bytes of a file in an archive.
    Piece(Piece),
    /// Bytes made up by a recipe.
    Bytes(Vec<u8>),
    /// A symbolic link's target.
    Symlink(Vec<u8>),
    /// A device with its number as EROFS and Linux's `new_encode_dev` have it, a FIFO or a socket.
    Special(u32),
}

/// One inode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time: seconds and nanoseconds since the epoch.
    pub mtime: (u64, u32),
    /// Names that lead to it; for a directory 2 and its subdirectories.
    pub nlink: u32,
    /// Extended attributes: full name, value.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// What it holds.
    pub content: Content,
}

impl Node {
    /// A node of root's with these mode bits and no link to it yet.
    #[must_use]
    pub fn new(mode: u32, content: Content) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            mtime: (0, 0),
            nlink: u32::from(mode & S_IFMT == S_IFDIR) * 2,
            xattrs: Vec::new(),
            content,
        }
    }
}

/// A tree; node 0 is its root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

impl Default for Tree {
    fn default() -> Self {
        let root = Node::new(S_IFDIR | 0o755, Content::Dir(BTreeMap::new()));
        Self { nodes: vec![root] }
    }
}

impl Tree {
    /// All nodes, each after the directory it was first found in.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Makes `node` appear as `name` in the directory `parent`, and gives its index.
    ///
    /// # Errors
    /// When `parent` isn't a directory or has the name already.
    pub fn add(&mut self, parent: usize, name: &[u8], node: Node) -> Result<usize> {
        let index = self.nodes.len();
        self.nodes.push(node);
        self.link(parent, name, index)?;
        Ok(index)
    }

    /// One more name for the node `index`.
    ///
    /// # Errors
    /// As [`Tree::add`].
    pub fn link(&mut self, parent: usize, name: &[u8], index: usize) -> Result<()> {
        let shown = String::from_utf8_lossy(name).into_owned();
        if name.is_empty() || name.len() > 255 || name.contains(&b'/') {
            bail!("'{shown}' can't be a name");
        }
        let is_dir = match self.nodes.get_mut(index) {
            Some(node) if matches!(node.content, Content::Dir(_)) => true,
            Some(node) => {
                node.nlink += 1;
                false
            }
            None => bail!("'{shown}' leads nowhere"),
        };
        let parent = self.nodes.get_mut(parent);
        let Some((nlink, Content::Dir(names))) =
            parent.map(|node| (&mut node.nlink, &mut node.content))
        else {
            bail!("'{shown}' isn't in a directory");
        };
        *nlink += u32::from(is_dir);
        if names.insert(name.to_vec(), index).is_some() {
            bail!("'{shown}' is there twice");
        }
        Ok(())
    }

    /// Takes the name away; nothing happens when it isn't there. The node itself stays until
    /// [`Tree::compacted`].
    pub fn unlink(&mut self, parent: usize, name: &[u8]) {
        let Some(Content::Dir(names)) = self.nodes.get_mut(parent).map(|node| &mut node.content)
        else {
            return;
        };
        let Some(index) = names.remove(name) else {
            return;
        };
        let is_dir = self.names(index).is_some();
        let counted = if is_dir { parent } else { index };
        if let Some(node) = self.nodes.get_mut(counted) {
            node.nlink = node.nlink.saturating_sub(1);
        }
    }

    /// The tree without the nodes that no name leads to.
    #[must_use]
    pub fn compacted(mut self) -> Self {
        let mut places = HashMap::from([(0, 0)]);
        let mut order = vec![0];
        let mut done = 0;
        while let Some(index) = order.get(done).copied() {
            done += 1;
            for child in self.names(index).into_iter().flat_map(BTreeMap::values) {
                let next = order.len();
                places.entry(*child).or_insert_with(|| {
                    order.push(*child);
                    next
                });
            }
        }
        let mut nodes = Vec::with_capacity(order.len());
        for index in order {
            let Some(node) = self.nodes.get_mut(index) else {
                continue;
            };
            let empty = Node::new(0, Content::Bytes(vec![]));
            let mut node = std::mem::replace(node, empty);
            if let Content::Dir(names) = &mut node.content {
                for child in names.values_mut() {
                    *child = places.get(child).copied().unwrap_or(0);
                }
            }
            nodes.push(node);
        }
        Self { nodes }
    }

    /// Bytes of all files' contents.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let sizes = self.nodes.iter().map(|node| match &node.content {
            Content::File { size, .. } => *size,
            Content::Piece(piece) => piece.size(),
            _ => 0,
        });
        sizes.sum()
    }

    /// A directory's names; `None` when it isn't one.
    #[must_use]
    pub fn names(&self, index: usize) -> Option<&BTreeMap<Vec<u8>, usize>> {
        match self.nodes.get(index).map(|node| &node.content) {
            Some(Content::Dir(names)) => Some(names),
            _ => None,
        }
    }

    /// A node to change.
    pub fn node_mut(&mut self, index: usize) -> Option<&mut Node> {
        self.nodes.get_mut(index)
    }

    /// The node at `path`, counted from the root; symbolic links aren't followed.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<usize> {
        let names = path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty());
        names
            .into_iter()
            .try_fold(0, |at, name| match &self.nodes.get(at)?.content {
                Content::Dir(names) => names.get(name).copied(),
                _ => None,
            })
    }

    /// The tree of the host's directory `dir`. Directories on which something else is mounted are
    /// there, but empty. `key` takes in all that tells one state of the tree from another.
    ///
    /// # Errors
    /// One line with the path of the first node that can't be read.
    pub fn scan(dir: &Path, key: &mut impl Hasher) -> Result<Self> {
        let meta = fs::metadata(dir).with_context(|| dir.display().to_string())?;
        if !meta.is_dir() {
            bail!("{} isn't a directory", dir.display());
        }
        let mut scan = Scan {
            tree: Self { nodes: vec![] },
            links: HashMap::new(),
            todo: vec![],
            device: meta.dev(),
        };
        let node = scan.node(dir, &meta, key)?;
        scan.tree.nodes.push(node);
        scan.todo.push((0, dir.to_owned()));
        while let Some((index, path)) = scan.todo.pop() {
            scan.directory(index, &path, key)
                .with_context(|| path.display().to_string())?;
        }
        Ok(scan.tree)
    }
}

struct Scan {
    tree: Tree,
    /// Host inodes with several names.
    links: HashMap<u64, usize>,
    todo: Vec<(usize, PathBuf)>,
    device: u64,
}

impl Scan {
    fn directory(&mut self, index: usize, path: &Path, key: &mut impl Hasher) -> Result<()> {
        let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
        // The key must not depend on the order in which the host lists them.
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let path = entry.path();
            let meta = entry
                .metadata()
                .with_context(|| path.display().to_string())?;
            name.as_bytes().hash(key);
            if let Some(known) = self.links.get(&meta.ino()) {
                self.tree.link(index, name.as_bytes(), *known)?;
                continue;
            }
            let node = self.node(&path, &meta, key)?;
            let child = self.tree.add(index, name.as_bytes(), node)?;
            if meta.is_dir() && meta.dev() == self.device {
                self.todo.push((child, path));
            } else if !meta.is_dir() && meta.nlink() > 1 {
                self.links.insert(meta.ino(), child);
            }
        }
        Ok(())
    }

    fn node(&self, path: &Path, meta: &Metadata, key: &mut impl Hasher) -> Result<Node> {
        let content = match meta.mode() & S_IFMT {
            S_IFDIR => Content::Dir(BTreeMap::new()),
            S_IFLNK => Content::Symlink(fs::read_link(path)?.into_os_string().into_vec()),
            S_IFREG => Content::File {
                path: path.to_owned(),
                size: meta.len(),
            },
            _ => Content::Special(encode_device(meta.rdev())?),
        };
        let stamp = [
            meta.ino(),
            meta.size(),
            u64::from(meta.mode()),
            meta.nlink(),
        ];
        let owner = [meta.uid(), meta.gid()];
        // The change time covers what isn't listed here: attributes, link targets.
        let times = [
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec(),
        ];
        (stamp, owner, times).hash(key);
        Ok(Node {
            mode: meta.mode(),
            uid: meta.uid(),
            gid: meta.gid(),
            // Times before 1970 become 1970: EROFS's are unsigned.
            mtime: (
                u64::try_from(meta.mtime()).unwrap_or(0),
                u32::try_from(meta.mtime_nsec()).unwrap_or(0),
            ),
            nlink: u32::from(meta.is_dir()) * 2,
            xattrs: xattrs(path).with_context(|| path.display().to_string())?,
            content,
        })
    }
}

/// Linux's `new_encode_dev`: 12 bits of major, 20 of minor.
fn encode_device(rdev: u64) -> Result<u32> {
    let (major, minor) = (rustix::fs::major(rdev), rustix::fs::minor(rdev));
    if major > 0xFFF || minor > 0xF_FFFF {
        return Err(anyhow!("device number {major}:{minor} is too large"));
    }
    Ok(device_number(major, minor))
}

/// As [`Content::Special`] has it.
#[must_use]
pub fn device_number(major: u32, minor: u32) -> u32 {
    (minor & 0xFF) | (major << 8) | ((minor & !0xFF) << 12)
}

fn xattrs(path: &Path) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    use rustix::fs::{lgetxattr, llistxattr};
    use rustix::io::Errno;
    let mut names = vec![0; 64 * 1024];
    let len = match llistxattr(path, &mut *names) {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(vec![]),
        Ok(len) => len,
        Err(error) => return Err(error.into()),
    };
    let names = names.get(..len).unwrap_or_default();
    let mut found = Vec::new();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; 64 * 1024];
        let len = match lgetxattr(path, name, &mut *value) {
            Ok(len) => len,
            // Somebody has just removed it, or only root may see it.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS) => continue,
            Err(error) => return Err(error.into()),
        };
        value.truncate(len);
        found.push((name.to_vec(), value));
    }
    found.sort();
    Ok(found)
}
