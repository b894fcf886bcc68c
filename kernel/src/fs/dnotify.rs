//! Directory notices (`F_NOTIFY` of fcntl(2)): a signal to the owner of an open directory when
//! something happens in it. What happens is heard where inotify's watches hear it.

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU32, Ordering};

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;

use super::fasync;
use super::file::File;
use super::inode::Inode;
use super::memory::try_arc;
use super::notify;

/// In a mask of events, beside `IN_*`: a name changed within the directory.
pub(super) const RENAMED: u32 = 1 << 28;

/// What an open directory's owner is to be told.
pub(super) struct Note {
    file: Weak<File>,
    /// The table of descriptors through which it was asked for, and the descriptor.
    table: u64,
    fd: i32,
    /// `IN_*`, `RENAMED`, `DN_MULTISHOT`.
    mask: AtomicU32,
}

impl Note {
    /// The events its directory must hear of, as `IN_*`.
    pub(super) fn wants(&self) -> u32 {
        let mask = self.mask.load(Ordering::Relaxed);
        let renamed = if mask & RENAMED != 0 {
            abi::IN_MOVED_FROM
        } else {
            0
        };
        mask & abi::IN_ALL_EVENTS | renamed
    }

    fn is_of(&self, file: &File, table: u64) -> bool {
        self.table == table && core::ptr::eq(self.file.as_ptr(), file)
    }
}

/// `DN_*` as events.
fn events(asked: u32) -> u32 {
    const EVENTS: [(u32, u32); 6] = [
        (abi::DN_ACCESS, abi::IN_ACCESS),
        (abi::DN_MODIFY, abi::IN_MODIFY),
        (abi::DN_CREATE, abi::IN_CREATE | abi::IN_MOVED_TO),
        (abi::DN_DELETE, abi::IN_DELETE | abi::IN_MOVED_FROM),
        (abi::DN_RENAME, RENAMED),
        (abi::DN_ATTRIB, abi::IN_ATTRIB),
    ];
    let chosen = EVENTS.iter().filter(|(bit, _)| asked & bit != 0);
    chosen.fold(asked & abi::DN_MULTISHOT, |mask, (_, events)| mask | events)
}

/// `F_NOTIFY`: what is asked for adds to what was; nothing asked for ends it.
pub(crate) fn set(file: &Arc<File>, table: u64, fd: i32, asked: u32) -> Result<(), Errno> {
    if asked & !abi::DN_MULTISHOT == 0 {
        close(file, table);
        return Ok(());
    }
    if file.inode.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    let mask = events(asked);
    fasync::own(file);
    notify::begin();
    match file.inode.find_note(|note| note.is_of(file, table)) {
        Some(note) => {
            note.mask.fetch_or(mask, Ordering::Relaxed);
        }
        None => file.inode.add_note(try_arc(Note {
            file: Arc::downgrade(file),
            table,
            fd,
            mask: AtomicU32::new(mask),
        })?)?,
    }
    file.inode.refresh_watched();
    Ok(())
}

/// A descriptor of the file was closed: what was asked for through its table ends.
pub(crate) fn close(file: &File, table: u64) {
    if file.inode.kind() == FileType::Directory
        && let Some(note) = file.inode.find_note(|note| note.is_of(file, table))
    {
        file.inode.remove_note(&note);
        file.inode.refresh_watched();
    }
}

/// Something happened in the directory, or to it.
pub(super) fn tell(dir: &Inode, mask: u32) {
    let happened = mask & (abi::IN_ALL_EVENTS | RENAMED);
    let mut last = None;
    while let Some(note) = dir.next_note(last.as_ref()) {
        let wanted = note.mask.load(Ordering::Relaxed);
        if wanted & happened != 0 {
            if wanted & abi::DN_MULTISHOT == 0 {
                // Once only; the search goes on from the beginning.
                dir.remove_note(&note);
                dir.refresh_watched();
                last = None;
            } else {
                last = Some(Arc::clone(&note));
            }
            if let Some(file) = note.file.upgrade() {
                fasync::send(&file, note.fd, abi::POLL_MSG);
            }
        } else {
            last = Some(note);
        }
    }
}
