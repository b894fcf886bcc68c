//! Path names and the walk along them, as `path_resolution(7)` and Linux's `fs/namei.c` rules
//! have it, over any [`Tree`].
//!
//! [`Walker`] goes to the directory that holds the last component and stops there
//! ([`Walker::to_last`]); opening, creating, removing and renaming decide on the last component
//! themselves, and plain lookups let [`Walker::resolve`] do it. The kernel's tree is mounts and
//! dentries; the tests' tree is the host's own file system, which is also the oracle.

use crate::errno::Errno;
use crate::num::usize_of32;
use alloc::vec::Vec;

/// Longest path a program may pass, its NUL included (`PATH_MAX`, linux/limits.h).
pub const PATH_MAX: usize = 4096;
/// Longest component (`NAME_MAX`, linux/limits.h).
pub const NAME_MAX: usize = 255;
/// Symbolic links followed in one walk before it is ELOOP (`MAXSYMLINKS`).
pub const MAX_LINKS: u32 = 40;

/// Where the first NUL is.
#[must_use]
pub fn nul_at(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut words = bytes.chunks_exact(8);
    let mut at = 0;
    for word in words.by_ref() {
        let word = <[u8; 8]>::try_from(word).map_or(0, u64::from_le_bytes);
        // The lowest bit that is left is the top one of the first byte that is zero.
        let zeroes = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zeroes != 0 {
            return Some(at + usize_of32(zeroes.trailing_zeros() / 8));
        }
        at += 8;
    }
    let rest = words.remainder().iter().position(|byte| *byte == 0)?;
    Some(at + rest)
}

/// What a node is to the walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Can be walked through.
    Directory,
    /// Can be followed.
    Symlink,
    /// Neither.
    Other,
}

/// Where a symbolic link leads.
#[derive(Debug)]
pub enum Link<N> {
    /// On along this path, from the link's own directory or the root.
    Text(Vec<u8>),
    /// Straight to a node: the links of `/proc/PID`.
    Jump(N),
}

/// What a walk needs of a tree of files.
pub trait Tree {
    /// A place in the tree.
    type Node: Clone;

    /// Where absolute paths begin.
    fn root(&self) -> Result<Self::Node, Errno>;
    /// What `..` means in `dir`; the root's is itself.
    fn parent(&self, dir: &Self::Node) -> Result<Self::Node, Errno>;
    /// Refuses (EACCES) when names in `dir` may not be looked up.
    fn may_search(&self, dir: &Self::Node) -> Result<(), Errno>;
    /// The child of that name, `None` when there is none.
    fn lookup(&self, dir: &Self::Node, name: &[u8]) -> Result<Option<Self::Node>, Errno>;
    /// What `node` is.
    fn shape(&self, node: &Self::Node) -> Shape;
    /// Where the link `node` leads; it is followed on the way (`last` false) or at the end.
    fn follow(&self, node: &Self::Node, last: bool) -> Result<Link<Self::Node>, Errno>;
}

/// The last component of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Last {
    /// A name: [`Walker::name`].
    Name,
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// The path was only slashes.
    Root,
}

struct Piece {
    text: Vec<u8>,
    at: usize,
}

/// A walk under way.
pub struct Walker<'a, T: Tree> {
    tree: &'a T,
    node: T::Node,
    path: &'a [u8],
    at: usize,
    links: Vec<Piece>,
    followed: u32,
    name: (usize, usize),
    trailing: bool,
    must_be_dir: bool,
}

impl<'a, T: Tree> Walker<'a, T> {
    /// A walk along `path` that starts in `base` unless the path is absolute.
    ///
    /// # Errors
    /// ENOENT for an empty path, ENAMETOOLONG for one of [`PATH_MAX`] bytes or more, ENOTDIR when
    /// a relative path starts from something else than a directory.
    pub fn new(
        tree: &'a T,
        base: impl FnOnce() -> Result<T::Node, Errno>,
        path: &'a [u8],
    ) -> Result<Self, Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let node = if path.first() == Some(&b'/') {
            tree.root()?
        } else {
            let base = base()?;
            if tree.shape(&base) != Shape::Directory {
                return Err(Errno::ENOTDIR);
            }
            base
        };
        Ok(Self {
            tree,
            node,
            path,
            at: 0,
            links: Vec::new(),
            followed: 0,
            name: (0, 0),
            trailing: false,
            must_be_dir: false,
        })
    }

    /// Walks to the directory of the last component, following every link on the way.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EACCES, ELOOP as Linux has them, and what the tree answers.
    pub fn to_last(&mut self) -> Result<Last, Errno> {
        loop {
            let Some(last) = self.take_component() else {
                return Ok(Last::Root);
            };
            self.tree.may_search(&self.node)?;
            let kind = match self.name() {
                b"." => Last::Dot,
                b".." => Last::DotDot,
                _ => Last::Name,
            };
            if last {
                self.must_be_dir |= self.trailing;
                return Ok(kind);
            }
            match kind {
                Last::DotDot => self.node = self.tree.parent(&self.node)?,
                Last::Name => self.descend()?,
                Last::Dot | Last::Root => {}
            }
        }
    }

    /// One step down along a component that isn't the last.
    fn descend(&mut self) -> Result<(), Errno> {
        let child = self.child()?.ok_or(Errno::ENOENT)?;
        match self.tree.shape(&child) {
            Shape::Directory => {
                self.node = child;
                Ok(())
            }
            Shape::Symlink => self.follow(&child).map(|_| ()),
            Shape::Other => Err(Errno::ENOTDIR),
        }
    }

    /// The node reached so far: after [`Self::to_last`], the last component's directory.
    #[inline]
    pub fn node(&self) -> &T::Node {
        &self.node
    }

    /// The component last taken.
    #[inline]
    pub fn name(&self) -> &[u8] {
        let text = self
            .links
            .last()
            .map_or(self.path, |piece| piece.text.as_slice());
        text.get(self.name.0..self.name.1).unwrap_or(&[])
    }

    /// Whether slashes follow the last component.
    #[inline]
    pub fn trailing_slash(&self) -> bool {
        self.trailing
    }

    /// Whether what is found must be a directory: a slash followed it, or a link to it.
    #[inline]
    pub fn must_be_directory(&self) -> bool {
        self.must_be_dir
    }

    /// Looks the last component up in [`Self::node`].
    ///
    /// # Errors
    /// ENAMETOOLONG for a component beyond [`NAME_MAX`]; what the tree answers.
    #[inline]
    pub fn child(&self) -> Result<Option<T::Node>, Errno> {
        if self.name().len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        self.tree.lookup(&self.node, self.name())
    }

    /// Goes on along the link `link`, found in [`Self::node`]; then [`Self::to_last`] again, or,
    /// when this answers `true`, the walk is where the link jumped to.
    ///
    /// # Errors
    /// ELOOP after [`MAX_LINKS`] links; ENOENT for an empty one; what the tree answers.
    pub fn follow(&mut self, link: &T::Node) -> Result<bool, Errno> {
        if self.followed >= MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        self.followed += 1;
        match self.tree.follow(link, self.finished())? {
            Link::Text(text) => {
                match text.first() {
                    None => return Err(Errno::ENOENT),
                    Some(b'/') => self.node = self.tree.root()?,
                    Some(_) => {}
                }
                self.links.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                self.links.push(Piece { text, at: 0 });
                Ok(false)
            }
            Link::Jump(node) => {
                self.node = node;
                if !self.finished() && self.tree.shape(&self.node) != Shape::Directory {
                    return Err(Errno::ENOTDIR);
                }
                Ok(self.finished())
            }
        }
    }

    /// Walks to the end; a link there is followed when `follow` says so or a slash follows it.
    ///
    /// # Errors
    /// As [`Self::to_last`]; ENOENT when the last component is missing; ENOTDIR when it should
    /// have been a directory.
    pub fn resolve(mut self, follow: bool) -> Result<T::Node, Errno> {
        loop {
            match self.to_last()? {
                Last::Root | Last::Dot => break,
                Last::DotDot => {
                    self.node = self.tree.parent(&self.node)?;
                    break;
                }
                Last::Name => {
                    let child = self.child()?.ok_or(Errno::ENOENT)?;
                    let follow = follow || self.must_be_dir;
                    if follow && self.tree.shape(&child) == Shape::Symlink {
                        if self.follow(&child)? {
                            break;
                        }
                        continue;
                    }
                    self.node = child;
                    break;
                }
            }
        }
        if self.must_be_dir && self.tree.shape(&self.node) != Shape::Directory {
            return Err(Errno::ENOTDIR);
        }
        Ok(self.node)
    }

    /// Takes the next component into `self.name`; answers whether it is the last of all.
    fn take_component(&mut self) -> Option<bool> {
        while self.links.pop_if(|piece| piece.skip_slashes()).is_some() {}
        let (text, at) = match self.links.last_mut() {
            Some(piece) => (piece.text.as_slice(), &mut piece.at),
            None => (self.path, &mut self.at),
        };
        let start = after_slashes(text, *at);
        let mut end = start;
        while text.get(end).is_some_and(|byte| *byte != b'/') {
            end += 1;
        }
        if start == end {
            return None;
        }
        *at = after_slashes(text, end);
        self.name = (start, end);
        self.trailing = *at > end;
        Some(self.finished())
    }

    /// Whether nothing of the path or of any link's text is left.
    #[inline]
    fn finished(&self) -> bool {
        self.at >= self.path.len() && self.links.iter().all(|piece| piece.at >= piece.text.len())
    }
}

impl Piece {
    /// Passes over slashes; answers whether that was all there was.
    fn skip_slashes(&mut self) -> bool {
        self.at = after_slashes(&self.text, self.at);
        self.at >= self.text.len()
    }
}

#[inline]
fn after_slashes(text: &[u8], mut at: usize) -> usize {
    while text.get(at) == Some(&b'/') {
        at += 1;
    }
    at
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
