//! Seeding the root from an EROFS image that the boot loader left in memory.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use kiln_core::addr::{PAGE_SIZE, PhysAddr};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::erofs::{self, BLOCK, Erofs, Source};
use kiln_core::fs::xattr::SetMode;
use kiln_core::num::{u64_of, usize_of};
use kiln_core::path::PATH_MAX;

use super::file_system;
use super::node::{Child, Node};
use super::room::{Place, Room, default_files, pages_for, root_size};
use crate::fs::inode::{Inode, InodeParts};
use crate::fs::memory::try_arc;
use crate::fs::superblock::SuperBlock;
use crate::mm::frame::FrameRef;
use crate::mm::kmem;
use crate::sched::Mutex;
use crate::sync::SpinLock;
use crate::vm::{Mapping, PageOrigin, alloc_zeroed_frame};

/// A boot module's bytes.
pub(super) struct Module {
    start: PhysAddr,
    len: u64,
}

impl Module {
    fn frame(&self, offset: u64) -> Option<FrameRef> {
        FrameRef::boot_module(self.start.checked_add(offset)?.page_base())
    }
}

impl Source for Module {
    fn read(&self, offset: u64, buf: &mut [u8]) -> bool {
        let inside = offset
            .checked_add(u64_of(buf.len()))
            .is_some_and(|end| end <= self.len);
        if !inside {
            return false;
        }
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let within = usize_of(at % u64_of(PAGE_SIZE));
            let (piece, later) = rest.split_at_mut(rest.len().min(PAGE_SIZE - within));
            let Some(frame) = self.frame(at) else {
                return false;
            };
            frame.read(within, piece);
            at += u64_of(piece.len());
            rest = later;
        }
        true
    }
}

/// The image that a root grows from.
pub(super) struct Seed {
    image: Erofs<Module>,
    room: Arc<Room>,
    /// Inodes with several names that have come to be, by number.
    linked: SpinLock<BTreeMap<u64, Weak<Inode>>>,
}

/// Why there is no root from the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotAnImage {
    /// It isn't an EROFS image.
    OtherFormat,
    /// It is one, but can't be used: what is wrong with it.
    Bad(erofs::Error),
    /// Memory is out.
    NoMemory,
}

impl From<erofs::Error> for NotAnImage {
    fn from(error: erofs::Error) -> Self {
        match error {
            erofs::Error::NotErofs => Self::OtherFormat,
            other => Self::Bad(other),
        }
    }
}

fn errno(error: erofs::Error) -> Errno {
    match error {
        erofs::Error::NoMemory => Errno::ENOMEM,
        _ => Errno::EUCLEAN,
    }
}

/// A regular file of the image: its blocks are its pages, where they lie.
struct Contents {
    seed: Arc<Seed>,
    inode: erofs::Inode,
}

impl PageOrigin for Contents {
    fn page(&self, index: u64) -> Result<FrameRef, Errno> {
        let image = &self.seed.image;
        if let Some(at) = image.extent(&self.inode, index) {
            return image.source().frame(at).ok_or(Errno::EUCLEAN);
        }
        let frame = alloc_zeroed_frame().map_err(|_| Errno::ENOMEM)?;
        let mut buffer = [0; 512];
        let mut within = 0;
        while within < PAGE_SIZE {
            let at = index * BLOCK + u64_of(within);
            let got = image.read(&self.inode, at, &mut buffer).map_err(errno)?;
            if got == 0 {
                break;
            }
            frame.write(within, buffer.get(..got).unwrap_or_default());
            within += got;
        }
        Ok(frame)
    }
}

/// The root directory of a file system in memory that grows from the image at `start`, `len`
/// bytes long. Nothing is read but the superblock and the root inode.
pub(crate) fn seeded_root(start: PhysAddr, len: u64) -> Result<Arc<Inode>, NotAnImage> {
    if !start.is_aligned(u64_of(PAGE_SIZE)) {
        return Err(NotAnImage::OtherFormat);
    }
    let image = Erofs::open(Module { start, len })?;
    let root = image.root();
    let past_last = len / 32 + 1;
    let make = || {
        // The image's own pages are no part of what there is to allocate.
        let (sb, room) = file_system("tmpfs", pages_for(root_size() + len), default_files())?;
        let seed = try_arc(Seed {
            image,
            room,
            linked: SpinLock::new(BTreeMap::new()),
        })?;
        sb.reserve_inos(past_last);
        seed.instantiate(&sb, root)
    };
    make().map_err(|_| NotAnImage::NoMemory)
}

impl Seed {
    fn instantiate(self: &Arc<Self>, sb: &Arc<SuperBlock>, nid: u64) -> Result<Arc<Inode>, Errno> {
        let inode = self.image.inode(nid).map_err(errno)?;
        let shared = inode.attr.nlink > 1 && !inode.attr.is_dir();
        if shared {
            let known = self.linked.lock().get(&nid).and_then(Weak::upgrade);
            if let Some(inode) = known {
                return Ok(inode);
            }
        }
        let target = match inode.attr.kind {
            FileType::Symlink => self.image.read_all(&inode, PATH_MAX).map_err(errno)?,
            _ => Vec::new(),
        };
        let mapping = match inode.attr.kind {
            FileType::Regular => {
                let contents = Contents {
                    seed: Arc::clone(self),
                    inode,
                };
                let limit = Arc::clone(self.room.pages());
                Some(Mapping::with_origin(
                    try_arc(contents)?,
                    limit,
                    inode.attr.size,
                )?)
            }
            _ => None,
        };
        let origin = Origin {
            seed: Arc::clone(self),
            inode,
            names_taken: AtomicBool::new(false),
            xattrs_loaded: AtomicBool::new(false),
            loading: Mutex::new(()),
        };
        let names = if inode.attr.is_dir() {
            1
        } else {
            inode.attr.nlink
        };
        let made = Inode::new(InodeParts {
            sb: Arc::clone(sb),
            ino: nid,
            attr: inode.attr,
            mapping,
            ops: try_arc(Node::seeded(
                target,
                Place::for_seeded(&self.room, names),
                origin,
            ))?,
        })?;
        if shared {
            let _charge = kmem::charge(64).map_err(|_| Errno::ENOMEM)?;
            self.linked.lock().insert(nid, Arc::downgrade(&made));
        }
        Ok(made)
    }
}

/// Where in the image an inode comes from, and how much of it has been taken over.
pub(super) struct Origin {
    seed: Arc<Seed>,
    inode: erofs::Inode,
    names_taken: AtomicBool,
    xattrs_loaded: AtomicBool,
    loading: Mutex<()>,
}

impl Origin {
    /// The number of the inode `name` has in the image's directory, unless all names have been
    /// taken over already.
    pub(super) fn lookup(&self, name: &[u8]) -> Result<Option<u64>, Errno> {
        if self.names_taken.load(Ordering::Acquire) {
            return Ok(None);
        }
        let found = self.seed.image.lookup(&self.inode, name).map_err(errno)?;
        Ok(found.map(|(nid, _)| nid))
    }

    /// The inode `nid` of the image.
    pub(super) fn instantiate(&self, sb: &Arc<SuperBlock>, nid: u64) -> Result<Arc<Inode>, Errno> {
        self.seed.instantiate(sb, nid)
    }

    /// Takes every name over into `node`, the directory's.
    pub(super) fn expand(&self, node: &Node) -> Result<(), Errno> {
        if self.names_taken.load(Ordering::Acquire) || !self.inode.attr.is_dir() {
            return Ok(());
        }
        let mut failed = None;
        let walked = self.seed.image.for_each(&self.inode, |entry| {
            let there = node.state.lock().names.get(entry.name).is_some();
            if there {
                return Ok(());
            }
            let child = Child::Seeded {
                nid: entry.nid,
                kind: entry.kind,
            };
            node.enter(entry.name, child).map_err(|error| {
                failed = Some(error);
                erofs::Error::NoMemory
            })
        });
        walked.map_err(|error| failed.unwrap_or(errno(error)))?;
        self.names_taken.store(true, Ordering::Release);
        Ok(())
    }

    /// Takes the extended attributes over into `node`.
    pub(super) fn load_xattrs(&self, node: &Node, _: &Inode) -> Result<(), Errno> {
        let _guard = self.loading.lock();
        if self.xattrs_loaded.load(Ordering::Acquire) {
            return Ok(());
        }
        let loaded = self.seed.image.xattrs(&self.inode, |name, value| {
            let set = node.state.lock().xattrs.set(name, value, SetMode::Any);
            set.map_err(|_| erofs::Error::NoMemory)
        });
        loaded.map_err(errno)?;
        self.xattrs_loaded.store(true, Ordering::Release);
        Ok(())
    }
}
