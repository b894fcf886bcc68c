//! What there is in `/proc`: [`Node`] is a place in it. What its files say is `contents`.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;

use kiln_core::decimal;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType, SetAttr};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::num::u64_of;
use kiln_core::path::Link;

use super::mem::MemFile;
use super::names::{PID_FILES, PID_LINKS, PidFile, PidLink, TOP_LINKS};
use super::pagemap::PagemapFile;
use super::{Processes, SystemFile, files, list, ns, processes};
use crate::fs::clock;
use crate::fs::file::FileOps;
use crate::fs::inode::{Emit, Inode, InodeOps, InodeParts};
use crate::fs::memory::try_arc;
use crate::fs::mount::Path;
use crate::fs::text::TextFile;

/// A place in `/proc`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// The top.
    Root,
    /// A directory of system files, by its path with a slash at the end.
    Directory(&'static str),
    /// A system file.
    System(SystemFile),
    /// One of [`TOP_LINKS`].
    TopLink(&'static str),
    /// A process, or one of its threads.
    Process(Who),
    /// `task`
    Tasks(u32),
    /// `fd` or, with flags and positions instead of links, `fdinfo`.
    Fds(Who, bool),
    /// A descriptor's link.
    Fd(Who, i32),
    /// A descriptor's text.
    FdInfo(Who, i32),
    /// A file of a process.
    File(Who, PidFile, u32),
    /// A link of a process.
    Link(Who, PidLink),
    /// `ns`
    Namespaces(Who),
    /// A link to a namespace: which of [`ns::KINDS`].
    Namespace(Who, usize),
}

/// A process, or one of its threads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) pid: u32,
    pub(super) tid: u32,
    /// Below `task`.
    pub(super) thread: bool,
}

impl PartialEq for SystemFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for SystemFile {}

/// A system file or directory of them below `prefix`, by name.
pub(super) fn system_child(prefix: &str, name: &str) -> Option<Node> {
    files().rev().find_map(|file| {
        let rest = file.path.strip_prefix(prefix)?.strip_prefix(name)?;
        match rest.strip_prefix('/') {
            None if rest.is_empty() => Some(Node::System(*file)),
            None => None,
            Some(below) => {
                let length = file.path.len() - below.len();
                file.path.get(..length).map(Node::Directory)
            }
        }
    })
}

/// A number as it stands in a directory's name: no sign, no leading zeros.
fn number(name: &[u8]) -> Option<u32> {
    let plain = name == b"0" || name.first() != Some(&b'0');
    let number = decimal::parse(name).filter(|_| plain)?;
    u32::try_from(number).ok()
}

impl Node {
    fn is_dir(&self) -> bool {
        matches!(
            self,
            Self::Root
                | Self::Directory(_)
                | Self::Process(_)
                | Self::Tasks(_)
                | Self::Fds(..)
                | Self::Namespaces(_)
        )
    }

    pub(super) fn kind(&self) -> FileType {
        match self {
            Self::TopLink(_) | Self::Fd(..) | Self::Link(..) | Self::Namespace(..) => {
                FileType::Symlink
            }
            node if node.is_dir() => FileType::Directory,
            _ => FileType::Regular,
        }
    }

    pub(super) fn who(&self) -> Option<Who> {
        match self {
            Self::Process(who)
            | Self::Fds(who, _)
            | Self::Fd(who, _)
            | Self::FdInfo(who, _)
            | Self::File(who, ..)
            | Self::Link(who, _)
            | Self::Namespaces(who)
            | Self::Namespace(who, _) => Some(*who),
            Self::Tasks(pid) => Some(Who {
                pid: *pid,
                tid: *pid,
                thread: false,
            }),
            _ => None,
        }
    }

    fn mode(&self) -> Result<u32, Errno> {
        Ok(match self {
            Self::Root | Self::Directory(_) | Self::Process(_) | Self::Tasks(_) => 0o555,
            Self::Fds(_, false) => 0o500,
            Self::Fds(_, true) => 0o555,
            Self::Namespaces(_) => 0o511,
            Self::System(file) => file.mode,
            Self::TopLink(_) | Self::Link(..) | Self::Namespace(..) => 0o777,
            Self::File(_, _, mode) => *mode,
            Self::FdInfo(..) => 0o444,
            Self::Fd(who, fd) => {
                let file = processes()?.files(who.pid, who.tid)?.get_any(*fd)?;
                let read = if file.readable() || file.is_path() {
                    0o500
                } else {
                    0
                };
                let write = if file.writable() { 0o300 } else { 0 };
                read | write
            }
        })
    }

    /// A number that tells it from every other place.
    pub(super) fn ino(&self) -> u64 {
        /// Numbers of system files and directories begin here; below are those of processes.
        const SYSTEM: u64 = 1 << 60;
        let by_name =
            |name: &str| SYSTEM | u64::from(kiln_core::fs::index::hash_name(name.as_bytes())) << 8;
        let by_process =
            |who: &Who, what: u64| (u64::from(who.tid) << 1 | u64::from(who.thread)) << 24 | what;
        match self {
            Self::Root => 1,
            Self::Directory(name) | Self::TopLink(name) => by_name(name),
            Self::System(file) => by_name(file.path) | 1,
            Self::Process(who) => by_process(who, 1),
            Self::Tasks(pid) => u64::from(*pid) << 25 | 2,
            Self::Fds(who, info) => by_process(who, 3 + u64::from(*info)),
            Self::Namespaces(who) => by_process(who, 5),
            Self::Link(who, link) => by_process(who, 16 + *link as u64),
            Self::Namespace(who, kind) => by_process(who, 32 + u64_of(*kind)),
            Self::File(who, file, _) => by_process(who, 64 + *file as u64),
            Self::Fd(who, fd) => by_process(who, 1 << 22 | u64::from(fd.cast_unsigned())),
            Self::FdInfo(who, fd) => by_process(who, 1 << 23 | u64::from(fd.cast_unsigned())),
        }
    }

    /// The child of that name.
    fn child(&self, name: &[u8]) -> Result<Option<Self>, Errno> {
        let text = core::str::from_utf8(name).unwrap_or("");
        Ok(match self {
            Self::Root => match number(name) {
                Some(pid) => process(processes()?, pid),
                None => TOP_LINKS
                    .into_iter()
                    .find(|link| *link == text)
                    .map(Self::TopLink)
                    .or_else(|| system_child("", text)),
            },
            Self::Directory(prefix) => system_child(prefix, text),
            Self::Process(who) => who.child(text),
            Self::Namespaces(who) => {
                let found = ns::KINDS.iter().position(|kind| kind.0 == text);
                found.map(|kind| Self::Namespace(*who, kind))
            }
            Self::Tasks(pid) => {
                let tid = number(name).filter(|tid| {
                    processes().is_ok_and(|all| all.next_thread(*pid, *tid) == Some(*tid))
                });
                tid.map(|tid| {
                    Self::Process(Who {
                        pid: *pid,
                        tid,
                        thread: true,
                    })
                })
            }
            Self::Fds(who, info) => {
                let fd = number(name).and_then(|fd| i32::try_from(fd).ok());
                let files = processes()?.files(who.pid, who.tid)?;
                fd.filter(|fd| files.get_any(*fd).is_ok()).map(|fd| {
                    if *info {
                        Self::FdInfo(*who, fd)
                    } else {
                        Self::Fd(*who, fd)
                    }
                })
            }
            _ => return Err(Errno::ENOTDIR),
        })
    }

    fn inode(self, dir: &Inode) -> Result<Arc<Inode>, Errno> {
        let mode = self.mode()?;
        // Its own descriptors a process may list in any case.
        let is_open = match self {
            Self::Fds(who, false) => processes()?.current().0 == who.pid,
            _ => self.kind() == FileType::Directory && mode == 0o555,
        };
        let (uid, gid) = match self.who() {
            Some(who) => {
                let all = processes()?;
                let owner = all.owner(who.pid)?;
                // What nobody may look into is root's, but for the directories that everybody may.
                let shown = is_open || all.is_dumpable(who.pid);
                if shown { owner } else { (0, 0) }
            }
            None => (0, 0),
        };
        let mut attr = Attr::new(self.kind(), mode, uid, gid, clock::now());
        match self {
            Self::Fd(..) => attr.size = 64,
            // A directory's name, its own and its subdirectories'.
            Self::Tasks(pid) => attr.nlink = 2 + processes()?.threads(pid),
            Self::Process(who) => attr.nlink = if who.thread { 6 } else { 7 },
            _ => {}
        }
        Inode::new(InodeParts {
            sb: Arc::clone(dir.sb()),
            ino: self.ino(),
            attr,
            mapping: None,
            ops: try_arc(self)?,
        })
    }
}

/// The process `pid`, or the thread of that id, which can be reached so but isn't listed.
fn process(all: &dyn Processes, pid: u32) -> Option<Node> {
    all.owner(pid).ok()?;
    Some(Node::Process(Who {
        pid,
        tid: pid,
        thread: false,
    }))
}

impl Who {
    pub(super) fn child(&self, name: &str) -> Option<Node> {
        match name {
            "fd" => return Some(Node::Fds(*self, false)),
            "fdinfo" => return Some(Node::Fds(*self, true)),
            "net" => return Some(Node::Directory("net/")),
            "ns" => return Some(Node::Namespaces(*self)),
            "children" if self.thread => {
                return Some(Node::File(*self, PidFile::Children, 0o444));
            }
            "task" if !self.thread => return Some(Node::Tasks(self.pid)),
            _ => {}
        }
        let file = PID_FILES.iter().find(|(file, ..)| *file == name);
        if let Some((_, mode, file)) = file {
            return Some(Node::File(*self, *file, *mode));
        }
        let link = PID_LINKS.iter().find(|(link, _)| *link == name)?;
        Some(Node::Link(*self, link.1))
    }

    /// The error of what is missing: ENOENT when the process ended but is still there.
    fn missing(&self, error: Errno) -> Errno {
        match processes().and_then(|all| all.owner(self.pid)) {
            Ok(_) => Errno::ENOENT,
            Err(Errno::ESRCH) => Errno::ESRCH,
            Err(_) => error,
        }
    }

    /// EACCES unless the caller may look into the process.
    pub(super) fn check(&self) -> Result<&'static dyn Processes, Errno> {
        let all = processes()?;
        if all.may_inspect(self.pid) {
            Ok(all)
        } else {
            Err(Errno::EACCES)
        }
    }
}

/// The process whose directory this is.
pub(crate) fn process_of(inode: &Inode) -> Option<u32> {
    match inode.ops_as()? {
        Node::Process(who) if !who.thread => Some(who.pid),
        _ => None,
    }
}

impl InodeOps for Node {
    fn lookup(&self, dir: &Arc<Inode>, name: &[u8]) -> Result<Option<Arc<Inode>>, Errno> {
        if let Self::Fds(who, _) = self {
            who.check()?;
        }
        // Not merely without an inode: names can't be made here, and who tries is told so.
        let node = self.child(name)?.ok_or(Errno::ENOENT)?;
        node.inode(dir).map(Some)
    }

    fn cacheable(&self) -> bool {
        false
    }

    fn set_attr(&self, _: &Arc<Inode>, change: &SetAttr) -> Result<(), Errno> {
        match change.mode {
            Some(_) => Err(Errno::EPERM),
            None => Ok(()),
        }
    }

    fn readdir(&self, _: &Arc<Inode>, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
        list::list(self, cursor, emit)
    }

    fn readlink(&self, _: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        let (pid, tid) = processes()?.current();
        let mut text = String::new();
        let written = match self {
            Self::TopLink("self") => decimal::write(&mut text, pid.into()),
            Self::TopLink("thread-self") => write!(text, "{pid}/task/{tid}"),
            Self::TopLink(name) => write!(text, "self/{name}"),
            _ => return Err(Errno::EINVAL),
        };
        written.map_err(|_| Errno::ENOMEM)?;
        Ok(text.into_bytes())
    }

    fn follow(&self, inode: &Arc<Inode>) -> Result<Link<Path>, Errno> {
        match self {
            Self::Link(who, link) => {
                let path = who.check()?.link(who.pid, who.tid, *link);
                path.map(Link::Jump).map_err(|error| who.missing(error))
            }
            Self::Namespace(who, kind) => {
                // What ended has none but these two.
                let ended = who.check()?.files(who.pid, who.tid).is_err();
                if ended && !ns::outlives(*kind) {
                    return Err(who.missing(Errno::ENOENT));
                }
                let kind = ns::KINDS.get(*kind).ok_or(Errno::ENOENT)?;
                ns::path(kind).map(Link::Jump)
            }
            Self::Fd(who, fd) => {
                let files = who.check()?.files(who.pid, who.tid);
                let files = files.map_err(|error| who.missing(error))?;
                let file = files.get_any(*fd).map_err(|_| Errno::ENOENT)?;
                Ok(Link::Jump(file.path.clone()))
            }
            _ => self.readlink(inode).map(Link::Text),
        }
    }

    fn open(&self, inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        if let Self::Fds(who, true) = self {
            who.check()?;
        }
        if inode.kind() != FileType::Regular {
            return crate::fs::open_by_type(inode, flags);
        }
        if let Self::System(file) = self
            && !file.takes()
            && file.path.starts_with("sys/")
            && flags.writes()
        {
            return Err(Errno::EACCES);
        }
        if let Self::File(who, file, _) = self
            && file.is_private()
        {
            who.check()?;
        }
        if let Self::File(who, PidFile::Mem, _) = self {
            let space = processes()?.memory(who.pid, who.tid)?;
            return Ok(try_arc(MemFile::new(&space))?);
        }
        if let Self::File(who, PidFile::Pagemap, _) = self {
            let all = processes()?;
            let space = all.memory(who.pid, who.tid)?;
            return Ok(try_arc(PagemapFile::new(&space, all.may_see_frames()))?);
        }
        Ok(try_arc(TextFile::new(try_arc(*self)?))?)
    }

    fn truncate(&self, _: &Arc<Inode>, _: u64) -> Result<(), Errno> {
        Ok(())
    }
}
