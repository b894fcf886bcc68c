//! Filling the root from a cpio archive that the boot loader left in memory, compressed with gzip
//! or not. The archive is read piece by piece, and its frames are given back as that goes on.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::addr::{PAGE_SIZE, PhysAddr};
use kiln_core::cpio::{self, Header, Reader, Sink};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{FileType, MODE_BITS, SetAttr, Timestamp};
use kiln_core::gzip::{self, Gunzip, Input};
use kiln_core::num::{u64_of, usize_of};
use kiln_core::path::PATH_MAX;

use crate::fs::context::Lookup;
use crate::fs::inode::Inode;
use crate::fs::memory::{append, try_zeros};
use crate::fs::mount::Path;
use crate::fs::vfs::{self, Node};
use crate::mm::frame::{self, FrameRef};
use crate::vm::IoSrc;

/// Why an archive was refused: what is wrong, and at which byte of it (unpacked), if that helps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadArchive {
    /// Neither cpio nor gzip.
    UnknownFormat,
    /// It ends in the middle.
    Truncated,
    /// Its compressed data are damaged.
    Damaged,
    /// There is no header where one should be.
    NoHeader(u64),
    /// A name leads out of it.
    Climbs,
    /// An entry can't be made.
    Entry(Errno),
    /// Memory is out.
    NoMemory,
}

impl core::fmt::Display for BadArchive {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::UnknownFormat => f.write_str("neither cpio nor gzip nor EROFS"),
            Self::Truncated => f.write_str("it is truncated"),
            Self::Damaged => f.write_str("its compressed data are damaged"),
            Self::NoHeader(at) => write!(f, "there is no cpio header at byte {at}"),
            Self::Climbs => f.write_str("a path climbs out of it"),
            Self::Entry(error) => write!(f, "an entry can't be made: {error}"),
            Self::NoMemory => f.write_str("it doesn't fit in memory"),
        }
    }
}

impl From<cpio::Error<Errno>> for BadArchive {
    fn from(error: cpio::Error<Errno>) -> Self {
        match error {
            cpio::Error::NotCpio(0) => Self::UnknownFormat,
            cpio::Error::NotCpio(at) | cpio::Error::BadHeader(at) => Self::NoHeader(at),
            cpio::Error::Truncated => Self::Truncated,
            cpio::Error::NoMemory | cpio::Error::Sink(Errno::ENOMEM) => Self::NoMemory,
            cpio::Error::Sink(Errno::EXDEV) => Self::Climbs,
            cpio::Error::Sink(error) => Self::Entry(error),
        }
    }
}

impl From<gzip::Error<BadArchive>> for BadArchive {
    fn from(error: gzip::Error<BadArchive>) -> Self {
        match error {
            gzip::Error::NotGzip => Self::UnknownFormat,
            gzip::Error::Truncated => Self::Truncated,
            gzip::Error::Corrupt => Self::Damaged,
            gzip::Error::NoMemory => Self::NoMemory,
            gzip::Error::Output(error) => error,
        }
    }
}

/// The archive's bytes, a frame at a time; a frame that has been read is given back.
struct Archive {
    start: PhysAddr,
    len: u64,
    page: Vec<u8>,
    /// Which page is in `page`, from 1 on.
    loaded: u64,
}

impl Archive {
    fn load(&mut self, number: u64) {
        if self.loaded == number + 1 {
            return;
        }
        self.loaded = number + 1;
        let addr = self.start.checked_add(number * u64_of(PAGE_SIZE));
        let Some(addr) = addr else {
            return;
        };
        if let Some(frame) = FrameRef::boot_module(addr) {
            frame.read(0, &mut self.page);
        }
        // Reading goes forward only.
        frame::release_module(addr);
    }
}

impl Input for Archive {
    fn piece(&mut self, offset: u64) -> &[u8] {
        if offset >= self.len {
            return &[];
        }
        let page = u64_of(PAGE_SIZE);
        self.load(offset / page);
        let within = usize_of(offset % page);
        let end = usize_of((self.len - offset / page * page).min(page));
        self.page.get(within..end).unwrap_or(&[])
    }
}

/// Unpacks the archive at `start`, `len` bytes long, into the tree that `lookup` sees.
pub(crate) fn unpack(lookup: &Lookup<'_>, start: PhysAddr, len: u64) -> Result<(), BadArchive> {
    let page = try_zeros(PAGE_SIZE).map_err(|_| BadArchive::NoMemory)?;
    let mut archive = Archive {
        start,
        len,
        page,
        loaded: 0,
    };
    let (mut reader, mut tree) = (Reader::new(), Tree::new(lookup));
    if archive.piece(0).starts_with(&gzip::MAGIC) {
        Gunzip::new::<BadArchive>(archive)?
            .run(|bytes| reader.push(bytes, &mut tree).map_err(BadArchive::from))?;
    } else {
        let mut offset = 0;
        loop {
            let piece = archive.piece(offset);
            if piece.is_empty() {
                break;
            }
            offset += u64_of(piece.len());
            reader.push(piece, &mut tree)?;
        }
    }
    reader.finish::<Errno>()?;
    tree.finish_entry().map_err(BadArchive::Entry)?;
    Ok(())
}

/// A file's device and number.
type Id = (u32, u32, u32);

fn id(header: &Header) -> Id {
    (header.dev.major, header.dev.minor, header.ino)
}

/// Makes files of entries.
struct Tree<'a> {
    lookup: &'a Lookup<'a>,
    /// The first name of each file with several, in the order of device and number.
    links: Vec<(Id, Path)>,
    current: Option<Current>,
}

/// The entry being filled.
struct Current {
    header: Header,
    inode: Option<Arc<Inode>>,
    offset: u64,
    /// The name and text of a symbolic link, which is made when its text is complete.
    link: Option<(Vec<u8>, Vec<u8>)>,
}

impl<'a> Tree<'a> {
    fn new(lookup: &'a Lookup<'a>) -> Self {
        Self {
            lookup,
            links: Vec::new(),
            current: None,
        }
    }

    /// Where a file's first name is, or would be.
    fn first(&self, header: &Header) -> Result<usize, usize> {
        self.links.binary_search_by_key(&id(header), |(id, _)| *id)
    }

    /// Everything of the entry has come: links are made, owner and time are set.
    fn finish_entry(&mut self) -> Result<(), Errno> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let header = current.header;
        let inode = match (current.inode, current.link) {
            (Some(inode), _) => inode,
            (None, Some((name, target))) => {
                self.make_way(&name)?;
                let node = Node {
                    target: &target,
                    ..Node::new(FileType::Symlink, 0o777)
                };
                Arc::clone(vfs::create(self.lookup, &name, &node)?.inode()?)
            }
            (None, None) => return Ok(()),
        };
        let time = Timestamp {
            sec: i64::from(header.mtime),
            nsec: 0,
        };
        let _guard = inode.lock.lock();
        inode.set_attr(SetAttr {
            mode: (inode.kind() != FileType::Symlink).then_some(header.mode & MODE_BITS),
            uid: Some(header.uid),
            gid: Some(header.gid),
            atime: Some(time),
            mtime: Some(time),
            ..SetAttr::default()
        })
    }

    /// Removes what has the name already: a later entry wins.
    fn make_way(&self, name: &[u8]) -> Result<(), Errno> {
        match vfs::unlink(self.lookup, name) {
            Err(Errno::ENOENT) | Ok(()) => Ok(()),
            Err(Errno::EISDIR) => vfs::rmdir(self.lookup, name),
            Err(error) => Err(error),
        }
    }

    fn make(&mut self, header: &Header, name: &[u8], kind: FileType) -> Result<Arc<Inode>, Errno> {
        if kind == FileType::Directory {
            let there = vfs::resolve(self.lookup, name, true);
            if let Ok(path) = there
                && path.inode()?.kind() == kind
            {
                return path.inode().map(Arc::clone);
            }
        }
        self.make_way(name)?;
        let node = Node {
            rdev: header.rdev,
            ..Node::new(kind, header.mode & MODE_BITS)
        };
        let path = vfs::create(self.lookup, name, &node)?;
        if header.nlink > 1 && kind != FileType::Directory {
            let place = self.first(header).unwrap_or_else(|place| place);
            self.links.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            self.links.insert(place, (id(header), path.clone()));
        }
        path.inode().map(Arc::clone)
    }
}

/// EXDEV for a name that climbs out of the archive.
fn check_name(name: &[u8]) -> Result<(), Errno> {
    let mut depth = 0usize;
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => depth = depth.checked_sub(1).ok_or(Errno::EXDEV)?,
            _ => depth += 1,
        }
    }
    Ok(())
}

impl Sink for Tree<'_> {
    type Error = Errno;

    fn entry(&mut self, header: &Header, name: &[u8]) -> Result<(), Errno> {
        self.finish_entry()?;
        check_name(name)?;
        let kind = FileType::from_mode(header.mode).ok_or(Errno::EINVAL)?;
        let mut current = Current {
            header: *header,
            inode: None,
            offset: 0,
            link: None,
        };
        let shared = header.nlink > 1 && kind != FileType::Directory;
        let place = self.first(header).ok().filter(|_| shared);
        if let Some((_, first)) = place.and_then(|place| self.links.get(place)) {
            self.make_way(name)?;
            vfs::link(self.lookup, first, name)?;
            current.inode = Some(Arc::clone(first.inode()?));
        } else if kind == FileType::Symlink {
            let mut owned = Vec::new();
            append(&mut owned, name)?;
            current.link = Some((owned, Vec::new()));
        } else {
            current.inode = Some(self.make(header, name, kind)?);
        }
        self.current = Some(current);
        Ok(())
    }

    fn contents(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let Some(current) = self.current.as_mut() else {
            return Ok(());
        };
        if let Some((_, target)) = &mut current.link {
            if target.len() + bytes.len() >= PATH_MAX {
                return Err(Errno::ENAMETOOLONG);
            }
            return append(target, bytes);
        }
        let mapping = current.inode.as_ref().and_then(|inode| inode.mapping());
        let mapping = mapping.ok_or(Errno::EINVAL)?;
        let mut src = IoSrc::kernel(bytes);
        while src.remaining() > 0 {
            current.offset += u64_of(mapping.write(current.offset, &mut src)?);
        }
        Ok(())
    }

    fn end_of_archive(&mut self) -> Result<(), Errno> {
        self.finish_entry()?;
        self.links.clear();
        Ok(())
    }
}
