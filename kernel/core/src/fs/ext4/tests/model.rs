//! A file system in memory, against which random operations are compared.

use super::image::{Memory, NOW, contents, list};
use super::random::Random;
use crate::fs::ext4::{Error, Ext4, FileType, How, Ino, NewFile, ROOT, SetAttr, SetMode, Unlinked};
use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

#[derive(Clone, Debug, PartialEq)]
enum Content {
    File(Vec<u8>),
    Dir(BTreeMap<Vec<u8>, Ino>),
    Symlink(Vec<u8>),
    Other,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    content: Content,
    links: u32,
    mode: u16,
    uid: u32,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Both file systems, kept alike.
pub(super) struct Model {
    pub(super) fs: Ext4<Memory>,
    pub(super) nodes: BTreeMap<Ino, Node>,
    random: Random,
    /// Greatest offset of writes.
    pub(super) reach: u64,
    pub(super) names: u64,
    pub(super) full: bool,
}

fn node(content: Content, mode: u16) -> Node {
    let links = if matches!(content, Content::Dir(_)) {
        2
    } else {
        1
    };
    Node {
        content,
        links,
        mode,
        uid: 0,
        xattrs: BTreeMap::new(),
    }
}

/// What a directory holds but for files' contents, or a file's size: what a journal keeps.
pub(super) fn without_data(node: &Node) -> Node {
    let mut node = node.clone();
    if let Content::File(bytes) = &mut node.content {
        let size = bytes.len();
        *bytes = size.to_le_bytes().to_vec();
    }
    node
}

impl Model {
    pub(super) fn new(mut fs: Ext4<Memory>, seed: u64) -> Self {
        let mut root = BTreeMap::new();
        let mut nodes = BTreeMap::new();
        let mut links = 2;
        for (name, ino) in list(&mut fs, ROOT) {
            root.insert(name, ino);
            let attr = fs.attr(ino).unwrap();
            nodes.insert(ino, node(Content::Dir(BTreeMap::new()), attr.mode & 0xFFF));
            links += 1;
        }
        let mut top = node(Content::Dir(root), 0o755);
        top.links = links;
        nodes.insert(ROOT, top);
        let random = Random::new(seed);
        Self {
            fs,
            nodes,
            random,
            reach: 200_000,
            names: 40,
            full: false,
        }
    }

    /// A model of what a file system holds already.
    pub(super) fn resume(fs: Ext4<Memory>, seed: u64) -> Self {
        let nodes = BTreeMap::new();
        let random = Random::new(seed);
        let mut model = Self {
            fs,
            nodes,
            random,
            reach: 200_000,
            names: 40,
            full: false,
        };
        model.learn(ROOT);
        model
    }

    fn learn(&mut self, ino: Ino) {
        if self.nodes.contains_key(&ino) {
            return;
        }
        let attr = self.fs.attr(ino).unwrap();
        let content = match attr.kind {
            FileType::Directory => Content::Dir(list(&mut self.fs, ino).into_iter().collect()),
            FileType::Regular => Content::File(contents(&mut self.fs, ino)),
            FileType::Symlink => Content::Symlink(self.fs.read_link(ino).unwrap()),
            _ => Content::Other,
        };
        let below: Vec<Ino> = match &content {
            Content::Dir(entries) => entries.values().copied().collect(),
            _ => Vec::new(),
        };
        let mut xattrs = BTreeMap::new();
        let mut names = Vec::new();
        self.fs
            .list_xattr(ino, &mut |name| names.push(name.to_vec()))
            .unwrap();
        for name in names {
            let value = self.fs.get_xattr(ino, &name).unwrap();
            xattrs.insert(name, value);
        }
        let node = Node {
            content,
            links: attr.links,
            mode: attr.mode & 0xFFF,
            uid: attr.uid,
            xattrs,
        };
        self.nodes.insert(ino, node);
        for child in below {
            self.learn(child);
        }
    }

    fn dirs(&self) -> Vec<Ino> {
        let is_dir = |node: &Node| matches!(node.content, Content::Dir(_));
        self.nodes
            .iter()
            .filter(|(_, node)| is_dir(node))
            .map(|(ino, _)| *ino)
            .collect()
    }

    fn files(&self) -> Vec<Ino> {
        let is_file = |node: &Node| matches!(node.content, Content::File(_));
        self.nodes
            .iter()
            .filter(|(_, node)| is_file(node))
            .map(|(ino, _)| *ino)
            .collect()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = self.random.below(from.len() as u64) as usize;
        from.get(index).copied()
    }

    fn name(&mut self) -> Vec<u8> {
        let number = self.random.below(self.names);
        let mut name = format!("name {number} ").into_bytes();
        let pad = (number * 37 % 240) as usize;
        name.extend(std::iter::repeat_n(b'\xE4', pad));
        name
    }

    /// An existing entry, mostly.
    fn entry(&mut self) -> Option<(Ino, Vec<u8>)> {
        let dirs = self.dirs();
        let dir = self.pick(&dirs)?;
        let names: Vec<Vec<u8>> = self.entries(dir).keys().cloned().collect();
        if names.is_empty() || self.random.chance(10) {
            return Some((dir, self.name()));
        }
        let index = self.random.below(names.len() as u64) as usize;
        Some((dir, names[index].clone()))
    }

    fn entries(&self, dir: Ino) -> &BTreeMap<Vec<u8>, Ino> {
        match &self.nodes[&dir].content {
            Content::Dir(entries) => entries,
            other => panic!("not a directory: {other:?}"),
        }
    }

    fn entries_mut(&mut self, dir: Ino) -> &mut BTreeMap<Vec<u8>, Ino> {
        match &mut self.nodes.get_mut(&dir).unwrap().content {
            Content::Dir(entries) => entries,
            other => panic!("not a directory: {other:?}"),
        }
    }

    fn is_dir(&self, ino: Ino) -> bool {
        matches!(self.nodes[&ino].content, Content::Dir(_))
    }

    /// One random operation on both.
    pub(super) fn step(&mut self) {
        match self.random.below(100) {
            0..25 => self.create(),
            25..45 => self.write(),
            45..53 => self.truncate(),
            53..62 => self.unlink(),
            62..66 => self.rmdir(),
            66..78 => self.rename(),
            78..84 => self.link(),
            84..87 => self.punch(),
            87..89 => self.fallocate(),
            89 => self.shift(),
            90..95 => self.xattr(),
            _ => self.set_attr(),
        }
    }

    fn create(&mut self) {
        let dirs = self.dirs();
        let dir = self.pick(&dirs).unwrap();
        let name = self.name();
        let target: Vec<u8> =
            std::iter::repeat_n(b't', 1 + self.random.below(200) as usize).collect();
        let (mode, content) = match self.random.below(10) {
            0..5 => (0o100_644, Content::File(Vec::new())),
            5..8 => (0o040_755, Content::Dir(BTreeMap::new())),
            8 => (0o120_777, Content::Symlink(target.clone())),
            _ => (0o010_600, Content::Other),
        };
        let new = NewFile {
            mode,
            uid: 70_000,
            gid: 5,
            device: 0,
            target: &target,
            now: NOW,
        };
        let result = self.fs.create(dir, &name, &new);
        if self.entries(dir).contains_key(&name) {
            assert_eq!(result, Err(Error::Exists));
            return;
        }
        let Some(ino) = self.allowed(result) else {
            return;
        };
        let mut child = node(content, mode & 0xFFF);
        child.uid = 70_000;
        if matches!(child.content, Content::Dir(_)) {
            self.nodes.get_mut(&dir).unwrap().links += 1;
        }
        assert!(
            self.nodes.insert(ino, child).is_none(),
            "inode {ino} given out twice"
        );
        self.entries_mut(dir).insert(name, ino);
    }

    /// The value, unless the disk is full and may be.
    fn allowed<T>(&self, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Error::NoSpace) if self.full => None,
            Err(error) => panic!("unexpected {error:?}"),
        }
    }

    fn write(&mut self) {
        let files = self.files();
        let Some(ino) = self.pick(&files) else { return };
        let reach = self.reach;
        let offset = self.random.below(reach) as usize;
        let length = 1 + self.random.below(20_000) as usize;
        let seed = self.random.next();
        let data: Vec<u8> = (0..length)
            .map(|n| (seed >> (n % 56)) as u8 ^ n as u8)
            .collect();
        let result = self.fs.write(ino, offset as u64, &data, NOW);
        let Some(done) = self.allowed(result) else {
            return;
        };
        assert!(done == length || self.full);
        let Content::File(bytes) = &mut self.nodes.get_mut(&ino).unwrap().content else {
            return;
        };
        if bytes.len() < offset + done {
            bytes.resize(offset + done, 0);
        }
        bytes[offset..offset + done].copy_from_slice(&data[..done]);
    }

    fn truncate(&mut self) {
        let files = self.files();
        let Some(ino) = self.pick(&files) else { return };
        let reach = self.reach;
        let size = if self.random.chance(3) {
            0
        } else {
            self.random.below(reach)
        };
        self.fs.truncate_data(ino, size, NOW).unwrap();
        if let Content::File(bytes) = &mut self.nodes.get_mut(&ino).unwrap().content {
            bytes.resize(size as usize, 0);
        }
    }

    fn punch(&mut self) {
        let files = self.files();
        let Some(ino) = self.pick(&files) else { return };
        let reach = self.reach;
        let block = self.fs.block_size() as u64;
        let offset = self.random.below(reach) / block * block;
        let length = (1 + self.random.below(40)) * block;
        self.fs.punch_hole(ino, offset, length, NOW).unwrap();
        if let Content::File(bytes) = &mut self.nodes.get_mut(&ino).unwrap().content {
            let size = bytes.len();
            let end = size.min((offset + length) as usize);
            // The last block is whole only for the punching when the file ends with it or later.
            if (offset as usize) < end {
                bytes[offset as usize..end].fill(0);
            }
        }
    }

    /// Takes a range of blocks out of a file, or puts one in.
    fn shift(&mut self) {
        let files = self.files();
        let Some(ino) = self.pick(&files) else { return };
        let block = self.fs.block_size() as u64;
        let size = self.fs.attr(ino).unwrap().size;
        let at = self.random.below(size.div_ceil(block).max(1));
        let count = 1 + self.random.below(9);
        let (from, to) = ((at * block) as usize, ((at + count) * block) as usize);
        let collapse = self.random.below(2) == 0;
        if from as u64 >= size || collapse && to as u64 >= size {
            return;
        }
        let moved = if collapse {
            self.fs.collapse(ino, at as u32, (at + count) as u32)
        } else {
            let longer = size + count * block;
            self.fs.insert(ino, at as u32, count as u32, longer)
        };
        if moved == Err(Error::NotPermitted) || self.allowed(moved).is_none() {
            return;
        }
        let Content::File(bytes) = &mut self.nodes.get_mut(&ino).unwrap().content else {
            return;
        };
        if collapse {
            bytes.drain(from..to);
        } else {
            bytes.splice(from..from, std::iter::repeat_n(0, to - from));
        }
        let size = bytes.len() as u64;
        self.fs.set_size(ino, size, NOW).unwrap();
    }

    fn fallocate(&mut self) {
        let files = self.files();
        let Some(ino) = self.pick(&files) else { return };
        let reach = self.reach;
        let offset = self.random.below(reach);
        let length = 1 + self.random.below(100_000);
        match self.fs.fallocate(ino, offset, length, false, NOW) {
            Err(Error::NotPermitted) => {}
            result => {
                if self.allowed(result).is_none() {
                    return;
                }
                let end = (offset + length) as usize;
                if let Content::File(bytes) = &mut self.nodes.get_mut(&ino).unwrap().content
                    && bytes.len() < end
                {
                    bytes.resize(end, 0);
                }
            }
        }
    }

    fn gone(&mut self, unlinked: Unlinked) {
        let node = self.nodes.get_mut(&unlinked.ino).unwrap();
        node.links = if matches!(node.content, Content::Dir(_)) {
            0
        } else {
            node.links - 1
        };
        assert_eq!(u32::from(unlinked.links), node.links);
        if node.links == 0 {
            self.nodes.remove(&unlinked.ino);
            self.fs.evict(unlinked.ino, NOW).unwrap();
        }
    }

    fn unlink(&mut self) {
        let Some((dir, name)) = self.entry() else {
            return;
        };
        let result = self.fs.unlink(dir, &name, NOW);
        match self.entries(dir).get(&name).copied() {
            None => assert_eq!(result, Err(Error::NotFound)),
            Some(ino) if self.is_dir(ino) => assert_eq!(result, Err(Error::IsDirectory)),
            Some(_) => {
                self.entries_mut(dir).remove(&name);
                self.gone(result.unwrap());
            }
        }
    }

    fn rmdir(&mut self) {
        let Some((dir, name)) = self.entry() else {
            return;
        };
        let result = self.fs.rmdir(dir, &name, NOW);
        match self.entries(dir).get(&name).copied() {
            None => assert_eq!(result, Err(Error::NotFound)),
            Some(ino) if !self.is_dir(ino) => assert_eq!(result, Err(Error::NotDirectory)),
            Some(ino) if !self.entries(ino).is_empty() => assert_eq!(result, Err(Error::NotEmpty)),
            Some(_) => {
                self.entries_mut(dir).remove(&name);
                self.nodes.get_mut(&dir).unwrap().links -= 1;
                self.gone(result.unwrap());
            }
        }
    }

    fn is_below(&self, top: Ino, dir: Ino) -> bool {
        top == dir
            || (self.is_dir(top)
                && self
                    .entries(top)
                    .values()
                    .any(|child| self.is_dir(*child) && self.is_below(*child, dir)))
    }

    fn rename(&mut self) {
        let Some((old_dir, old_name)) = self.entry() else {
            return;
        };
        let Some((new_dir, mut new_name)) = self.entry() else {
            return;
        };
        if self.random.chance(2) {
            new_name = self.name();
        }
        let how = match self.random.below(6) {
            0 => How::NoReplace,
            1 => How::Exchange,
            _ => How::Replace,
        };
        let result = self
            .fs
            .rename((old_dir, &old_name), (new_dir, &new_name), how, NOW);
        let source = self.entries(old_dir).get(&old_name).copied();
        let target = self.entries(new_dir).get(&new_name).copied();
        let Some(source) = source else {
            assert_eq!(result, Err(Error::NotFound));
            return;
        };
        let below = self.is_dir(source) && old_dir != new_dir && self.is_below(source, new_dir);
        let above = how == How::Exchange
            && target
                .is_some_and(|t| self.is_dir(t) && old_dir != new_dir && self.is_below(t, old_dir));
        let expected = match (how, target) {
            _ if below => Err(Error::Invalid),
            (How::NoReplace, Some(_)) => Err(Error::Exists),
            (How::Exchange, None) => Err(Error::NotFound),
            (_, Some(target)) if target == source => Ok(false),
            (How::Exchange, _) if above => Err(Error::Invalid),
            (How::Exchange, _) => Ok(true),
            (_, Some(t)) => match (self.is_dir(source), self.is_dir(t)) {
                (true, false) => Err(Error::NotDirectory),
                (false, true) => Err(Error::IsDirectory),
                (true, true) if !self.entries(t).is_empty() => Err(Error::NotEmpty),
                _ => Ok(true),
            },
            (_, None) => Ok(true),
        };
        match expected {
            Err(error) => assert_eq!(result, Err(error)),
            Ok(false) => assert_eq!(result, Ok(None)),
            Ok(true) => {
                let Some(unlinked) = self.allowed(result) else {
                    return;
                };
                self.renamed((old_dir, &old_name), (new_dir, &new_name), how, unlinked);
            }
        }
    }

    fn renamed(
        &mut self,
        (old_dir, old_name): (Ino, &[u8]),
        (new_dir, new_name): (Ino, &[u8]),
        how: How,
        unlinked: Option<Unlinked>,
    ) {
        let source = self.entries_mut(old_dir).remove(old_name).unwrap();
        let target = self.entries_mut(new_dir).insert(new_name.to_vec(), source);
        if self.is_dir(source) {
            self.nodes.get_mut(&old_dir).unwrap().links -= 1;
            self.nodes.get_mut(&new_dir).unwrap().links += 1;
        }
        if let Some(target) = target {
            if self.is_dir(target) {
                self.nodes.get_mut(&new_dir).unwrap().links -= 1;
            }
            if how == How::Exchange {
                if self.is_dir(target) {
                    self.nodes.get_mut(&old_dir).unwrap().links += 1;
                }
                self.entries_mut(old_dir).insert(old_name.to_vec(), target);
            }
        }
        if let Some(unlinked) = unlinked {
            self.gone(unlinked);
        }
    }

    fn link(&mut self) {
        let files = self.files();
        let Some(ino) = self.pick(&files) else { return };
        let dirs = self.dirs();
        let dir = self.pick(&dirs).unwrap();
        let name = self.name();
        let result = self.fs.link(ino, dir, &name, NOW);
        if self.entries(dir).contains_key(&name) {
            assert_eq!(result, Err(Error::Exists));
        } else if self.allowed(result).is_some() {
            self.entries_mut(dir).insert(name, ino);
            self.nodes.get_mut(&ino).unwrap().links += 1;
        }
    }

    fn xattr(&mut self) {
        let inos: Vec<Ino> = self.nodes.keys().copied().collect();
        let Some(ino) = self.pick(&inos) else { return };
        let name = format!("user.attribute {}", self.random.below(6)).into_bytes();
        if self.random.chance(3) {
            let result = self.fs.remove_xattr(ino, &name, NOW);
            let had = self.nodes.get_mut(&ino).unwrap().xattrs.remove(&name);
            assert_eq!(result, had.map(|_| ()).ok_or(Error::NoAttribute));
            return;
        }
        let value: Vec<u8> = std::iter::repeat_n(b'v', self.random.below(300) as usize).collect();
        match self.fs.set_xattr(ino, &name, &value, SetMode::Any, NOW) {
            Ok(()) => {
                self.nodes.get_mut(&ino).unwrap().xattrs.insert(name, value);
            }
            Err(error) => assert_eq!(error, Error::NoSpace),
        }
    }

    fn set_attr(&mut self) {
        let inos: Vec<Ino> = self.nodes.keys().copied().collect();
        let Some(ino) = self.pick(&inos) else { return };
        let uid = self.random.next() as u32;
        let permissions = self.random.next() as u16 & 0xFFF;
        let set = SetAttr {
            uid: Some(uid),
            permissions: Some(permissions),
            ..SetAttr::default()
        };
        self.fs.set_attr(ino, &set).unwrap();
        let node = self.nodes.get_mut(&ino).unwrap();
        node.uid = uid;
        node.mode = permissions;
    }

    /// Both file systems must hold the same.
    pub(super) fn compare(&mut self) {
        let inos: Vec<Ino> = self.nodes.keys().copied().collect();
        for ino in inos {
            let node = self.nodes[&ino].clone();
            let attr = self.fs.attr(ino).unwrap();
            assert_eq!(attr.mode & 0xFFF, node.mode, "mode of {ino}");
            assert_eq!(attr.links, node.links, "links of {ino}");
            if ino > 11 {
                assert_eq!(attr.uid, node.uid, "owner of {ino}");
            }
            match &node.content {
                Content::File(bytes) => {
                    assert!(contents(&mut self.fs, ino) == *bytes, "contents of {ino}");
                }
                Content::Symlink(target) => assert_eq!(self.fs.read_link(ino).unwrap(), *target),
                Content::Other => assert_eq!(attr.kind, FileType::Fifo),
                Content::Dir(entries) => {
                    let expected: Vec<_> = entries.clone().into_iter().collect();
                    assert_eq!(list(&mut self.fs, ino), expected, "entries of {ino}");
                    for (name, child) in expected {
                        assert_eq!(self.fs.lookup(ino, &name), Ok(Some(child)));
                    }
                }
            }
            self.compare_xattrs(ino, &node);
        }
    }

    fn compare_xattrs(&mut self, ino: Ino, node: &Node) {
        let mut names = Vec::new();
        self.fs
            .list_xattr(ino, &mut |name| names.push(name.to_vec()))
            .unwrap();
        names.sort();
        let expected: Vec<Vec<u8>> = node.xattrs.keys().cloned().collect();
        assert_eq!(names, expected, "attributes of {ino}");
        for (name, value) in &node.xattrs {
            assert_eq!(self.fs.get_xattr(ino, name).as_ref(), Ok(value));
        }
    }

    pub(super) fn describe(&self) -> String {
        format!(
            "{} inodes, {} directories",
            self.nodes.len(),
            self.dirs().len()
        )
    }
}
