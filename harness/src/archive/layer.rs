//! One tar laid over a tree: [`apply`]. Names are confined to the tree: a `..` is refused, and a
//! symbolic link on the way to a name is followed inside the tree only.
//!
//! Whiteouts are those of the OCI image specification ("Whiteouts" in layer.md).

use std::collections::{BTreeMap, HashSet};
use std::io::Read;

use anyhow::{Context, Result, anyhow, bail};
use tar::{Archive, Entry, EntryType};

use super::spool::Spool;
use crate::tree::{Content, Node, S_IFDIR, S_IFLNK, S_IFREG, Tree, device_number};

/// As many symbolic links as Linux follows.
const MOST_LINKS: u32 = 40;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Other names that begin so are of no meaning here.
const RESERVED: &[u8] = b".wh..wh.";

/// Lays the tar `bytes` over `tree`. `whiteouts`: it is a layer of an image.
///
/// # Errors
/// One line with the entry's name and what is wrong with it.
pub(super) fn apply(
    bytes: impl Read,
    tree: &mut Tree,
    spool: &mut Spool,
    whiteouts: bool,
) -> Result<()> {
    let mut layer = Layer {
        tree,
        spool,
        own: HashSet::new(),
        whiteouts,
    };
    let mut archive = Archive::new(bytes);
    for entry in archive.entries().map_err(one_line)? {
        let entry = entry.map_err(one_line)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        layer.entry(entry).with_context(|| format!("'{name}'"))?;
    }
    Ok(())
}

fn one_line(error: std::io::Error) -> anyhow::Error {
    // The crate's messages end in the cause, which the chain of errors shows already.
    match error.get_ref().and_then(std::error::Error::source) {
        Some(cause) => anyhow!("{cause}"),
        None => anyhow!("{error}"),
    }
}

struct Layer<'a> {
    tree: &'a mut Tree,
    spool: &'a mut Spool,
    /// Nodes that this layer has brought or changed: whiteouts don't concern them.
    own: HashSet<usize>,
    whiteouts: bool,
}

impl Layer<'_> {
    fn entry(&mut self, mut entry: Entry<'_, impl Read>) -> Result<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let path = names(&entry.path_bytes())?;
        let Some((name, parents)) = path.split_last() else {
            let root = metadata(&mut entry, S_IFDIR, Content::Dir(BTreeMap::new()))?;
            return self.take_metadata(0, root);
        };
        let parent = self.directory(parents)?;
        if self.whiteouts && name.starts_with(WHITEOUT) {
            self.white_out(parent, name);
            return Ok(());
        }
        if kind == EntryType::Link {
            return self.hard_link(parent, name, &entry);
        }
        let node = self.node(&mut entry, kind)?;
        match self.child(parent, name) {
            Some(old) if kind == EntryType::Directory && self.is_dir(old) => {
                self.take_metadata(old, node)
            }
            _ => self.put(parent, name, node).map(drop),
        }
    }

    fn node(&mut self, entry: &mut Entry<'_, impl Read>, kind: EntryType) -> Result<Node> {
        let device = |entry: &Entry<'_, _>| -> Result<u32> {
            let header = entry.header();
            let number = |part: Option<u32>| part.ok_or_else(|| anyhow!("it has no device number"));
            let (major, minor) = (
                number(header.device_major()?)?,
                number(header.device_minor()?)?,
            );
            if major > 0xFFF || minor > 0xF_FFFF {
                bail!("device number {major}:{minor} is too large");
            }
            Ok(device_number(major, minor))
        };
        let (bits, content) = match kind {
            EntryType::Directory => (S_IFDIR, Content::Dir(BTreeMap::new())),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                (S_IFREG, Content::Bytes(vec![]))
            }
            EntryType::Symlink => {
                let target = entry
                    .link_name_bytes()
                    .ok_or_else(|| anyhow!("it leads nowhere"))?;
                (S_IFLNK, Content::Symlink(target.into_owned()))
            }
            EntryType::Char => (0o020_000, Content::Special(device(entry)?)),
            EntryType::Block => (0o060_000, Content::Special(device(entry)?)),
            EntryType::Fifo => (0o010_000, Content::Special(0)),
            other => bail!(
                "entries of kind {:?} aren't known",
                char::from(other.as_byte())
            ),
        };
        let mut node = metadata(entry, bits, content)?;
        if bits == S_IFREG {
            let size = entry.size();
            node.content = Content::Piece(self.spool.take(entry, size)?);
        }
        Ok(node)
    }

    fn hard_link(
        &mut self,
        parent: usize,
        name: &[u8],
        entry: &Entry<'_, impl Read>,
    ) -> Result<()> {
        let target = entry
            .link_name_bytes()
            .ok_or_else(|| anyhow!("it leads nowhere"))?;
        let path = names(&target)?;
        let (last, parents) = path
            .split_last()
            .ok_or_else(|| anyhow!("it links the root"))?;
        let shown = || {
            anyhow!(
                "it links '{}', which isn't there",
                String::from_utf8_lossy(&target)
            )
        };
        let directory = self.directory(parents)?;
        let index = self.child(directory, last).ok_or_else(shown)?;
        if self.is_dir(index) {
            bail!("it links a directory");
        }
        self.own.insert(index);
        if (directory, last.as_slice()) == (parent, name) {
            return Ok(());
        }
        self.tree.unlink(parent, name);
        self.tree.link(parent, name, index)
    }

    fn put(&mut self, parent: usize, name: &[u8], node: Node) -> Result<usize> {
        self.tree.unlink(parent, name);
        let index = self.tree.add(parent, name, node)?;
        self.own.insert(index);
        Ok(index)
    }

    /// A directory that is there already gets another owner, mode and so on.
    fn take_metadata(&mut self, index: usize, from: Node) -> Result<()> {
        self.own.insert(index);
        let node = self
            .tree
            .node_mut(index)
            .ok_or_else(|| anyhow!("it is lost"))?;
        let (nlink, content) = (
            node.nlink,
            std::mem::replace(&mut node.content, Content::Bytes(vec![])),
        );
        *node = Node {
            nlink,
            content,
            ..from
        };
        Ok(())
    }

    fn white_out(&mut self, parent: usize, name: &[u8]) {
        if name == OPAQUE {
            self.forget_below(parent);
        } else if !name.starts_with(RESERVED)
            && let Some(name) = name.strip_prefix(WHITEOUT)
            && let Some(index) = self.child(parent, name)
        {
            if !self.own.contains(&index) {
                self.tree.unlink(parent, name);
            } else if self.is_dir(index) {
                self.forget_below(index);
            }
        }
    }

    /// Takes out what lower layers have left in a directory.
    fn forget_below(&mut self, dir: usize) {
        let mut todo = vec![dir];
        while let Some(dir) = todo.pop() {
            let names: Vec<_> = self
                .tree
                .names(dir)
                .map(|names| {
                    names
                        .iter()
                        .map(|(name, index)| (name.clone(), *index))
                        .collect()
                })
                .unwrap_or_default();
            for (name, index) in names {
                if !self.own.contains(&index) {
                    self.tree.unlink(dir, &name);
                } else if self.is_dir(index) {
                    todo.push(index);
                }
            }
        }
    }

    fn child(&self, dir: usize, name: &[u8]) -> Option<usize> {
        self.tree.names(dir)?.get(name).copied()
    }

    fn is_dir(&self, index: usize) -> bool {
        self.tree.names(index).is_some()
    }

    /// The directory that `path` leads to, made if it isn't there.
    fn directory(&mut self, path: &[Vec<u8>]) -> Result<usize> {
        let mut way = vec![0];
        let mut todo: Vec<Vec<u8>> = path.iter().rev().cloned().collect();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            let at = way.last().copied().unwrap_or(0);
            if name == b".." {
                // Only a link's target has these; above the root is the root.
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let Some(index) = self.child(at, &name) else {
                let node = Node::new(S_IFDIR | 0o755, Content::Dir(BTreeMap::new()));
                way.push(self.put(at, &name, node)?);
                continue;
            };
            match self.tree.nodes().get(index).map(|node| &node.content) {
                Some(Content::Dir(_)) => {
                    // What lies below is this layer's, so a whiteout of it spares that.
                    way.push(index);
                }
                Some(Content::Symlink(target)) if links < MOST_LINKS => {
                    links += 1;
                    if target.starts_with(b"/") {
                        way.truncate(1);
                    }
                    todo.extend(
                        components(target)
                            .map(<[u8]>::to_vec)
                            .collect::<Vec<_>>()
                            .into_iter()
                            .rev(),
                    );
                }
                Some(Content::Symlink(_)) => bail!("its path has too many symbolic links"),
                _ => {
                    // As unpacking does: a directory takes the file's place.
                    let node = Node::new(S_IFDIR | 0o755, Content::Dir(BTreeMap::new()));
                    way.push(self.put(at, &name, node)?);
                }
            }
        }
        for index in &way {
            self.own.insert(*index);
        }
        Ok(way.last().copied().unwrap_or(0))
    }
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
}

/// The parts of an entry's path.
fn names(path: &[u8]) -> Result<Vec<Vec<u8>>> {
    let names: Vec<_> = components(path).map(<[u8]>::to_vec).collect();
    if names.iter().any(|name| name == b"..") {
        bail!(
            "the path '{}' climbs out of the archive",
            String::from_utf8_lossy(path)
        );
    }
    Ok(names)
}

/// A node with the entry's owner, permissions, times and attributes.
fn metadata(entry: &mut Entry<'_, impl Read>, bits: u32, content: Content) -> Result<Node> {
    let header = entry.header();
    let mut node = Node::new(bits | (header.mode()? & 0o7777), content);
    let id = |id: u64| u32::try_from(id).map_err(|_| anyhow!("owner {id} is too large"));
    (node.uid, node.gid) = (id(header.uid()?)?, id(header.gid()?)?);
    node.mtime = (header.mtime().unwrap_or(0), 0);
    let Some(extensions) = entry.pax_extensions()? else {
        return Ok(node);
    };
    for extension in extensions {
        let extension = extension?;
        if extension.key_bytes() == b"mtime" {
            node.mtime = extension.value().ok().and_then(time).unwrap_or(node.mtime);
        } else if let Some(name) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.") {
            node.xattrs
                .push((name.to_vec(), extension.value_bytes().to_vec()));
        }
    }
    node.xattrs.sort();
    Ok(node)
}

/// Seconds with a fraction, as pax headers have them.
fn time(text: &str) -> Option<(u64, u32)> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanoseconds: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    Some((seconds.parse().ok()?, nanoseconds.parse().ok()?))
}
