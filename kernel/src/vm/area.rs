//! What lies behind an area: nothing, or a file's pages.
//!
//! [`MappedFile`] is the link between a space and a [`Mapping`]: as long as one lives, the mapping
//! knows the space and can unmap or write-protect its pages there.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use kiln_core::errno::Errno;
use kiln_core::vma::{Area, Backing};

use super::mapping::Mapping;
use super::space::AddressSpace;
use super::vdso::Special;
use crate::mm::kmem;

/// An area of a program's memory.
pub(super) type VmArea = Area<Object>;

/// How `/proc/PID/maps` names a mapped file; holding it keeps the file open.
pub(crate) trait MapName: Send + Sync {
    /// Device (as `st_dev`) and inode number.
    fn identity(&self) -> (u64, u64);
    /// Appends the path.
    fn path(&self, out: &mut Vec<u8>);
    /// Whether it still has a name.
    fn is_linked(&self) -> bool {
        false
    }
    /// Takes bytes out of the file for good (`FALLOC_FL_PUNCH_HOLE`).
    ///
    /// # Errors
    /// As `fallocate(2)`.
    fn punch(&self, offset: u64, len: u64) -> Result<(), Errno> {
        let _ = (offset, len);
        Err(Errno::EOPNOTSUPP)
    }
    /// A program begins to write to a page of it.
    fn written(&self) {}
    /// One more space, or one space more, maps it.
    fn mapped(&self) {}
    /// What [`Self::mapped`] told of has ended.
    fn unmapped(&self) {}
}

/// A file as a program may map it; what `mmap` of an open file answers.
#[derive(Clone)]
pub(crate) struct FileMapping {
    /// Its pages; `None` for a file that is mapped as fresh memory, as `/dev/zero` is; the error
    /// of a file that can't be mapped, which comes after those of the request itself.
    pub(crate) mapping: Result<Option<Arc<Mapping>>, Errno>,
    /// Its name in `/proc/PID/maps`.
    pub(crate) name: Option<Arc<dyn MapName>>,
    /// It was opened for reading.
    pub(crate) readable: bool,
    /// It was opened for writing: a shared mapping may be made writable.
    pub(crate) writable: bool,
    /// It lies on a file system mounted `noexec`.
    pub(crate) no_exec: bool,
}

/// What lies behind an area.
#[derive(Clone)]
pub(crate) enum Object {
    /// Fresh memory, private to the space (or to it and its forks, until one writes).
    Anonymous,
    /// A page of the kernel's own, the same for everybody who hasn't written to it.
    Special(Special),
    /// A file from a byte offset on, a multiple of the page size.
    File {
        /// The file.
        file: Arc<MappedFile>,
        /// Where in it the area begins.
        offset: u64,
    },
}

impl Object {
    /// The file's pages behind an area.
    pub(super) fn mapping(&self) -> Option<(&Arc<Mapping>, u64)> {
        match self {
            Self::Anonymous | Self::Special(_) => None,
            Self::File { file, offset } => Some((&file.mapping, *offset)),
        }
    }
}

impl Backing for Object {
    fn advanced(&self, bytes: u64) -> Self {
        match self {
            Self::Anonymous | Self::Special(_) => self.clone(),
            Self::File { file, offset } => Self::File {
                file: file.clone(),
                offset: offset + bytes,
            },
        }
    }

    fn is_object(&self) -> bool {
        self.mapping().is_some()
    }

    fn continues(&self, bytes: u64, next: &Self) -> bool {
        match (self, next) {
            (Self::Anonymous, Self::Anonymous) => true,
            (
                Self::File { file, offset },
                Self::File {
                    file: next_file,
                    offset: next_offset,
                },
            ) => offset + bytes == *next_offset && file.is_same(next_file),
            _ => false,
        }
    }
}

/// A file mapped into one space, by one call or one program image.
pub(crate) struct MappedFile {
    pub(super) mapping: Arc<Mapping>,
    pub(super) name: Option<Arc<dyn MapName>>,
    /// The mapping's note of the space.
    registration: u64,
    /// Whether the note says that the space may write to the file's pages.
    shared: bool,
    /// The space may have private copies of pages; without them a child needs no page tables
    /// for it, because all pages are found again in the mapping.
    copied: AtomicBool,
}

impl MappedFile {
    /// Tells the mapping that the space maps it.
    pub(super) fn new(
        space: &Arc<AddressSpace>,
        mapping: Arc<Mapping>,
        name: Option<Arc<dyn MapName>>,
        shared: bool,
    ) -> Result<Arc<Self>, Errno> {
        let _charge = kmem::charge(size_of::<Self>() + 2 * size_of::<usize>())?;
        let registration = mapping.register(Arc::downgrade(space), shared)?;
        if let Some(name) = &name {
            name.mapped();
        }
        Ok(Arc::new(Self {
            mapping,
            name,
            registration,
            shared,
            copied: AtomicBool::new(false),
        }))
    }

    /// A shared page is about to be written to, which is a change of the file (`file_update_time`).
    pub(super) fn note_write(&self) {
        if let Some(name) = &self.name {
            name.written();
        }
    }

    /// A page is about to become a private copy.
    pub(super) fn note_copy(&self) {
        self.copied.store(true, Ordering::Relaxed);
    }

    /// Whether there may be private copies of pages.
    pub(super) fn has_copies(&self) -> bool {
        self.copied.load(Ordering::Relaxed)
    }

    /// The same file mapped into a child.
    pub(super) fn for_child(&self, child: &Arc<AddressSpace>) -> Result<Arc<Self>, Errno> {
        let file = Self::new(child, self.mapping.clone(), self.name.clone(), self.shared)?;
        file.copied.store(self.has_copies(), Ordering::Relaxed);
        Ok(file)
    }

    fn is_same(&self, other: &Self) -> bool {
        if core::ptr::eq(self, other) {
            return true;
        }
        Arc::ptr_eq(&self.mapping, &other.mapping)
            // An area knows only one of the two: what is true of one must be of the other.
            && self.has_copies() == other.has_copies()
            && match (&self.name, &other.name) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (a, b) => a.is_none() && b.is_none(),
            }
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        self.mapping.unregister(self.registration, self.shared);
        if let Some(name) = &self.name {
            name.unmapped();
        }
    }
}
