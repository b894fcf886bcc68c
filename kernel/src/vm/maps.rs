//! An address space as `/proc/PID` shows it: `maps`, `statm` and the sizes in `status`.

use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::Ordering;

use kiln_core::errno::Errno;
use kiln_core::vma::{AreaFlags, Prot};

use super::area::{Object, VmArea};
use super::map::data_bytes;
use super::space::{AddressSpace, Areas, PAGE, ProgramInfo};

/// Bytes before the path of a line of `maps`.
const PATH_COLUMN: usize = 73;
/// Bytes that a line has room for besides its path.
const LINE: usize = 128;
/// What shared memory is called, a file of the kernel's own, deleted at once.
pub(super) const NO_FILE: &[u8] = b"/dev/zero (deleted)";

/// Sizes in bytes, as `status` and `statm` show them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MemorySizes {
    /// Everything mapped, now and at most so far.
    pub(crate) total: u64,
    pub(crate) peak: u64,
    /// In memory now.
    pub(crate) resident: u64,
    /// The most that was at any time.
    pub(crate) most_resident: u64,
    /// Locked.
    pub(crate) locked: u64,
    /// Private and writable, without stacks.
    pub(crate) data: u64,
    /// Stacks.
    pub(crate) stack: u64,
    /// The program's code.
    pub(crate) text: u64,
    /// Other executable mappings of files.
    pub(crate) libraries: u64,
}

/// A line under construction, in a buffer whose memory was reserved.
pub(super) struct Line<'a>(pub(super) &'a mut Vec<u8>);

impl Write for Line<'_> {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        if self.0.try_reserve(s.len()).is_err() {
            return Err(core::fmt::Error);
        }
        self.0.extend_from_slice(s.as_bytes());
        Ok(())
    }
}

impl AddressSpace {
    /// The text of `/proc/PID/maps`.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn maps(&self) -> Result<Vec<u8>, Errno> {
        let info = self.info();
        let areas = self.read_areas();
        let mut out = Vec::new();
        for area in areas.map.iter() {
            out.try_reserve(LINE).map_err(|_| Errno::ENOMEM)?;
            describe(&areas, &info, area, &mut out)?;
        }
        Ok(out)
    }

    /// Its sizes.
    pub(crate) fn sizes(&self) -> MemorySizes {
        let info = self.info();
        let (resident, most_resident) = {
            let tables = self.tables.lock();
            (tables.resident() * PAGE, tables.most_resident() * PAGE)
        };
        let areas = self.read_areas();
        let sum = |chosen: fn(&VmArea) -> bool| -> u64 {
            let chosen = areas.map.iter().filter(|area| chosen(area));
            chosen.map(VmArea::size).sum()
        };
        let text = info.code.1.next_multiple_of(PAGE) - (info.code.0 & !(PAGE - 1));
        let executable =
            sum(|area| area.prot.contains(Prot::EXEC) && !area.prot.contains(Prot::WRITE));
        MemorySizes {
            total: areas.map.total_bytes(),
            peak: self.peak.load(Ordering::Relaxed),
            resident,
            most_resident,
            locked: areas.locked_pages * PAGE,
            data: data_bytes(&areas),
            stack: sum(|area| area.flags.contains(AreaFlags::GROWS_DOWN)),
            text,
            libraries: executable.saturating_sub(text),
        }
    }
}

/// Appends an area's line.
pub(super) fn describe(
    areas: &Areas,
    info: &ProgramInfo,
    area: &VmArea,
    out: &mut Vec<u8>,
) -> Result<(), Errno> {
    let right = |prot, letter| {
        if area.prot.contains(prot) {
            letter
        } else {
            '-'
        }
    };
    let (name, offset) = match &area.backing {
        Object::Anonymous | Object::Special(_) => (None, 0),
        Object::File { file, offset } => (file.name.as_ref(), *offset),
    };
    let (device, inode) = name.map_or((0, 0), |name| name.identity());
    let start = out.len();
    let written = write!(
        Line(out),
        "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {} ",
        area.start,
        area.end,
        right(Prot::READ, 'r'),
        right(Prot::WRITE, 'w'),
        right(Prot::EXEC, 'x'),
        if area.is_shared() { 's' } else { 'p' },
        offset,
        (device >> 8 & 0xFFF) | (device >> 32 & !0xFFF),
        (device & 0xFF) | (device >> 12 & 0xFFF00),
        inode,
    );
    written.map_err(|_| Errno::ENOMEM)?;
    let label: Option<&[u8]> = if name.is_some() {
        None
    } else {
        label(areas, info, area)
    };
    if name.is_some() || label.is_some() {
        let pad = PATH_COLUMN.saturating_sub(out.len() - start);
        out.try_reserve(pad + LINE).map_err(|_| Errno::ENOMEM)?;
        out.resize(out.len() + pad, b' ');
        match (name, label) {
            (Some(name), _) => name.path(out),
            (None, label) => out.extend_from_slice(label.unwrap_or_default()),
        }
    }
    out.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    out.push(b'\n');
    Ok(())
}

/// Appends what `numa_maps` says of an area's place.
pub(super) fn place_name(
    areas: &Areas,
    info: &ProgramInfo,
    area: &VmArea,
    out: &mut Vec<u8>,
) -> Result<(), Errno> {
    let words: &[u8] = match (&area.backing, label(areas, info, area)) {
        (Object::File { file, .. }, _) => {
            out.try_reserve(LINE).map_err(|_| Errno::ENOMEM)?;
            out.extend_from_slice(b" file=");
            match &file.name {
                Some(name) => {
                    name.path(out);
                    b""
                }
                None => NO_FILE,
            }
        }
        (_, Some(b"[heap]")) => b" heap",
        (_, Some(b"[stack]")) => b" stack",
        _ => b"",
    };
    out.try_reserve(LINE).map_err(|_| Errno::ENOMEM)?;
    out.extend_from_slice(words);
    Ok(())
}

/// What an area without a file is called.
fn label(areas: &Areas, info: &ProgramInfo, area: &VmArea) -> Option<&'static [u8]> {
    let heap = area.start < areas.brk && area.end > areas.brk_start;
    let stack = area.start <= info.stack && info.stack <= area.end;
    match area.backing {
        Object::File { .. } => Some(NO_FILE),
        Object::Special(special) => Some(special.name()),
        Object::Anonymous if heap => Some(b"[heap]"),
        Object::Anonymous if stack && info.stack != 0 => Some(b"[stack]"),
        Object::Anonymous => None,
    }
}
