//! What of an address space is in a core file (core(5), `coredump_filter`).

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::addr::UserAddr;
use kiln_core::coredump::{HEADERS_MAX, Segment};
use kiln_core::errno::Errno;
use kiln_core::num::u64_of;
use kiln_core::vma::{AreaFlags, Prot};

use super::area::{Object, VmArea};
use super::maps::NO_FILE;
use super::space::{AddressSpace, PAGE};
use super::vdso::Special;
use crate::sched;

/// Bits of the filter (`MMF_DUMP_*`, linux/sched/coredump.h): memory and files, private and shared, and the page
/// that a program's map begins with.
const ANON_PRIVATE: u32 = 1;
const ANON_SHARED: u32 = 1 << 1;
const MAPPED_PRIVATE: u32 = 1 << 2;
const MAPPED_SHARED: u32 = 1 << 3;
const ELF_HEADERS: u32 = 1 << 4;
/// `PF_*` (elf.h).
const RIGHTS: [(Prot, u32); 3] = [(Prot::READ, 4), (Prot::WRITE, 2), (Prot::EXEC, 1)];
/// It is to be seen whether the area begins with a program's header.
const PERHAPS: u64 = 1;
/// Most bytes of files' names; a process with more gets none of them (`MAX_FILE_NOTE_SIZE`, fs/binfmt_elf.c).
const NAMES_MAX: usize = 4 << 20;

/// What is in it, and the note of the files (`NT_FILE`).
#[derive(Default)]
pub(crate) struct CoreMap {
    pub(crate) segments: Vec<Segment>,
    /// Words, and the names behind them.
    pub(crate) files: Vec<[u8; 8]>,
    pub(crate) names: Vec<u8>,
}

impl CoreMap {
    /// Tells of every area and how much of it is to be stored, as far as a file can tell of them.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn fill(
        &mut self,
        space: &Arc<AddressSpace>,
        filter: u32,
        killed: &dyn Fn() -> bool,
    ) -> Result<(), Errno> {
        append(&mut self.files, &[[0; 8]; 2])?;
        let areas = space.read_areas();
        // One header is the notes'.
        for area in areas.map.iter().take(HEADERS_MAX - 1) {
            let rights = RIGHTS
                .iter()
                .filter(|(right, _)| area.prot.contains(*right));
            let segment = Segment {
                start: area.start,
                size: area.size(),
                stored: stored(space, area, filter),
                rights: rights.map(|(_, flag)| flag).sum(),
                fresh: matches!(area.backing, Object::Anonymous),
            };
            append(&mut self.segments, &[segment])?;
            sched::resched();
            if killed() {
                return Err(Errno::EINTR);
            }
            if let Object::File { file, offset } = &area.backing
                && self.names.len() <= NAMES_MAX
            {
                let words = [area.start, area.end, offset / PAGE];
                append(&mut self.files, &words.map(u64::to_le_bytes))?;
                match &file.name {
                    Some(name) => name.path(&mut self.names),
                    None => append(&mut self.names, NO_FILE)?,
                }
                append(&mut self.names, &[0])?;
            }
        }
        drop(areas);
        if self.names.len() > NAMES_MAX {
            self.files.clear();
            self.names.clear();
        }
        let count = u64_of(self.files.len() / 3);
        for (to, word) in self.files.iter_mut().zip([count, PAGE]) {
            *to = word.to_le_bytes();
        }
        for segment in self.segments.iter_mut().filter(|it| it.stored == PERHAPS) {
            let mut magic = [0; 4];
            space.peek_forced(&mut magic, UserAddr::new(segment.start));
            segment.stored = if magic == *b"\x7FELF" { PAGE } else { 0 };
        }
        Ok(())
    }
}

/// `vma_dump_size` (fs/coredump.c).
fn stored(space: &AddressSpace, area: &VmArea, filter: u32) -> u64 {
    let wanted = match &area.backing {
        Object::Special(special) => *special == Special::Vdso,
        _ if area.flags.contains(AreaFlags::DONT_DUMP) => false,
        Object::File { file, .. } if area.is_shared() => {
            let linked = file.name.as_ref().is_some_and(|name| name.is_linked());
            filter & if linked { MAPPED_SHARED } else { ANON_SHARED } != 0
        }
        _ if filter & ANON_PRIVATE != 0 && space.has_own_pages(area) => true,
        Object::Anonymous => false,
        Object::File { offset, .. } => {
            let begins = *offset == 0 && area.prot.contains(Prot::READ);
            if filter & MAPPED_PRIVATE == 0 && filter & ELF_HEADERS != 0 && begins {
                return PERHAPS;
            }
            filter & MAPPED_PRIVATE != 0
        }
    };
    u64::from(wanted) * area.size()
}

#[inline(never)]
fn append<T: Copy>(to: &mut Vec<T>, what: &[T]) -> Result<(), Errno> {
    to.try_reserve(what.len()).map_err(|_| Errno::ENOMEM)?;
    to.extend_from_slice(what);
    Ok(())
}
