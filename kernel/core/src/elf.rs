//! ELF program images: from the bytes of the headers to a plan of what is mapped where.
//!
//! [`Header`] checks the ELF header and says which bytes hold the program headers;
//! [`Image::plan`] turns those into [`Segment`]s in whole pages. Parsing is `goblin`'s, the rules
//! are Linux's (`fs/binfmt_elf.c`): which files are refused with `ENOEXEC`, and which pass the
//! checks and then kill the program because they can't be mapped ([`ElfError::is_fatal`]).
//! The kernel's `vm::loader` carries the plan out.

use alloc::vec::Vec;
use core::ops::Range;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::program_header as ph;
use goblin::elf::{Elf, ProgramHeader};

use crate::addr::{PAGE_SIZE, TASK_SIZE};
use crate::errno::Errno;
use crate::num::{align_down, align_up, u64_of, usize_of};
use crate::vma::Prot;

/// Bytes of an ELF64 header.
pub const HEADER_SIZE: usize = 64;
/// Bytes of an ELF64 program header.
pub const PROGRAM_HEADER_SIZE: u16 = 56;
/// Linux takes at most a page of program headers.
const HEADERS_MAX: usize = PAGE_SIZE;
/// Longest interpreter path with its NUL (`PATH_MAX`).
const INTERP_MAX: u64 = 4096;
const PAGE: u64 = PAGE_SIZE as u64;

/// Why an image can't be run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElfError {
    /// No ELF64 file for x86-64 in little-endian order, or neither executable nor shared object.
    NotOurs,
    /// The program header table is empty, too large, of another entry size or beyond the file.
    BadHeaders,
    /// `PT_INTERP` is too short, too long or not NUL-terminated.
    BadInterp,
    /// Nothing to load.
    NoSegments,
    /// A segment's file offset and address differ modulo the page size.
    Misaligned,
    /// A segment is larger in the file than in memory, or leaves the address space.
    BadSegment,
    /// No memory for the plan.
    NoMemory,
}

impl ElfError {
    /// The error that `execve` answers when it still can.
    #[must_use]
    pub fn errno(self) -> Errno {
        match self {
            Self::NotOurs | Self::BadHeaders | Self::BadInterp => Errno::ENOEXEC,
            Self::NoSegments | Self::Misaligned | Self::BadSegment => Errno::EINVAL,
            Self::NoMemory => Errno::ENOMEM,
        }
    }

    /// Whether Linux finds out only after the old program is gone, so that the process dies of
    /// SIGSEGV instead of getting an error.
    #[must_use]
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::NoSegments | Self::Misaligned | Self::BadSegment)
    }
}

/// Where an image may lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `ET_EXEC`: at the addresses it names.
    Fixed,
    /// `ET_DYN`: anywhere; addresses are relative to a load bias.
    Relocatable,
}

/// A checked ELF header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Where the image may lie.
    pub kind: Kind,
    /// Address of the first instruction, before the load bias.
    pub entry: u64,
    /// File offset of the program header table.
    pub table_offset: u64,
    /// Program headers in it.
    pub count: u16,
}

impl Header {
    /// Reads the first [`HEADER_SIZE`] bytes of a file.
    ///
    /// # Errors
    /// [`ElfError::NotOurs`] and [`ElfError::BadHeaders`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ElfError> {
        use goblin::elf::header as eh;
        let mut head = [0; HEADER_SIZE];
        let found = bytes.get(..HEADER_SIZE).ok_or(ElfError::NotOurs)?;
        if !found.starts_with(eh::ELFMAG) {
            return Err(ElfError::NotOurs);
        }
        head.copy_from_slice(found);
        // Linux looks at the magic, the type and the machine only. Class and byte order are set
        // right because goblin would read the rest by them.
        let [_, _, _, _, class, order, ..] = &mut head;
        (*class, *order) = (eh::ELFCLASS64, eh::ELFDATA2LSB);
        let header = Elf::parse_header(&head).map_err(|_| ElfError::NotOurs)?;
        let kind = match header.e_type {
            eh::ET_EXEC => Kind::Fixed,
            eh::ET_DYN => Kind::Relocatable,
            _ => return Err(ElfError::NotOurs),
        };
        if header.e_machine != eh::EM_X86_64 {
            return Err(ElfError::NotOurs);
        }
        let size = usize::from(header.e_phnum) * usize::from(PROGRAM_HEADER_SIZE);
        if header.e_phentsize != PROGRAM_HEADER_SIZE || size == 0 || size > HEADERS_MAX {
            return Err(ElfError::BadHeaders);
        }
        Ok(Self {
            kind,
            entry: header.e_entry,
            table_offset: header.e_phoff,
            count: header.e_phnum,
        })
    }

    /// Bytes of the program header table, at most a page.
    #[must_use]
    pub fn table_size(&self) -> usize {
        usize::from(self.count) * usize::from(PROGRAM_HEADER_SIZE)
    }
}

/// One `PT_LOAD` in whole pages; addresses are before the load bias.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Pages that come from the file; empty when nothing does.
    pub file: Range<u64>,
    /// File offset of the first of them, a multiple of the page size.
    pub offset: u64,
    /// First byte past the file's contents, when the rest of its page reads as zeros.
    pub zero_from: Option<u64>,
    /// Pages of zeros after them; empty when there are none.
    pub zero: Range<u64>,
    /// Rights.
    pub prot: Prot,
}

/// What is mapped where, and where the program starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Where it may lie.
    pub kind: Kind,
    /// Entry point, before the load bias.
    pub entry: u64,
    /// The segments in the order of the headers; a later one replaces what it overlaps.
    pub segments: Vec<Segment>,
    /// All pages from the lowest segment's first to the highest segment's last.
    pub span: Range<u64>,
    /// Largest alignment that a segment asks for, at least a page.
    pub align: u64,
    /// Address of the program headers in memory, before the load bias; 0 when not loaded.
    pub table_addr: u64,
    /// Number of program headers.
    pub table_count: u16,
    /// Bytes of the file that hold the interpreter's path and its NUL.
    pub interp: Option<Range<u64>>,
    /// The stack shall be executable.
    pub exec_stack: bool,
    /// Where code and data lie, for `/proc/PID/stat`, before the load bias.
    pub code: Range<u64>,
    /// First and last byte of data.
    pub data: Range<u64>,
    /// First page past everything: where the heap starts, before the load bias.
    pub brk: u64,
}

impl Image {
    /// Plans the image whose program headers are `table`.
    ///
    /// # Errors
    /// See [`ElfError`].
    pub fn plan(header: &Header, table: &[u8]) -> Result<Self, ElfError> {
        let context = Ctx::new(Container::Big, Endian::Little);
        let table = table
            .get(..header.table_size())
            .ok_or(ElfError::BadHeaders)?;
        let headers = ProgramHeader::parse(table, 0, usize::from(header.count), context)
            .map_err(|_| ElfError::BadHeaders)?;
        let mut image = Self::empty(header);
        image
            .segments
            .try_reserve_exact(headers.len())
            .map_err(|_| ElfError::NoMemory)?;
        for header in &headers {
            match header.p_type {
                ph::PT_INTERP if image.interp.is_none() => {
                    image.interp = Some(interp_range(header)?);
                }
                ph::PT_GNU_STACK => image.exec_stack = header.p_flags & ph::PF_X != 0,
                _ => {}
            }
        }
        for load in headers.iter().filter(|h| h.p_type == ph::PT_LOAD) {
            image.add_segment(load, header.table_offset)?;
        }
        if image.segments.is_empty() {
            return Err(ElfError::NoSegments);
        }
        Ok(image)
    }

    fn empty(header: &Header) -> Self {
        Self {
            kind: header.kind,
            entry: header.entry,
            segments: Vec::new(),
            span: 0..0,
            align: PAGE,
            table_addr: 0,
            table_count: header.count,
            interp: None,
            exec_stack: false,
            code: 0..0,
            data: 0..0,
            brk: 0,
        }
    }

    fn add_segment(&mut self, load: &ProgramHeader, table_offset: u64) -> Result<(), ElfError> {
        let segment = plan_segment(load)?;
        let memory_end = load.p_vaddr + load.p_memsz;
        let end = align_up(memory_end, PAGE).ok_or(ElfError::BadSegment)?;
        let file_end = load.p_vaddr + load.p_filesz;
        widen(&mut self.span, align_down(load.p_vaddr, PAGE)..end);
        self.brk = self.brk.max(end);
        if load.p_align.is_power_of_two() {
            self.align = self.align.max(load.p_align);
        }
        let in_file = load.p_offset..load.p_offset.saturating_add(load.p_filesz);
        if in_file.contains(&table_offset) {
            self.table_addr = table_offset - load.p_offset + load.p_vaddr;
        }
        // The four bounds as binfmt_elf keeps them.
        if load.p_flags & ph::PF_X != 0 {
            widen(&mut self.code, load.p_vaddr..file_end);
        }
        self.data.start = self.data.start.max(load.p_vaddr);
        self.data.end = self.data.end.max(file_end);
        self.segments.push(segment);
        Ok(())
    }
}

fn widen(range: &mut Range<u64>, by: Range<u64>) {
    *range = if range.is_empty() {
        by
    } else {
        range.start.min(by.start)..range.end.max(by.end)
    };
}

fn interp_range(header: &ProgramHeader) -> Result<Range<u64>, ElfError> {
    if header.p_filesz < 2 || header.p_filesz > INTERP_MAX {
        return Err(ElfError::BadInterp);
    }
    let end = header.p_offset.checked_add(header.p_filesz);
    Ok(header.p_offset..end.ok_or(ElfError::BadInterp)?)
}

fn plan_segment(load: &ProgramHeader) -> Result<Segment, ElfError> {
    let memory_end = load.p_vaddr.checked_add(load.p_memsz);
    let in_reach = memory_end.is_some_and(|end| end <= TASK_SIZE);
    // Whole pages are mapped.
    let file_end = load.p_offset.checked_add(load.p_filesz);
    let file_in_reach = file_end.and_then(|end| align_up(end, PAGE));
    if load.p_filesz > load.p_memsz || !in_reach || file_in_reach.is_none() {
        return Err(ElfError::BadSegment);
    }
    let start = align_down(load.p_vaddr, PAGE);
    let skew = load.p_vaddr - start;
    if load.p_filesz != 0 && load.p_offset % PAGE != skew {
        return Err(ElfError::Misaligned);
    }
    // No overflow below: everything ends at or below TASK_SIZE.
    let file_end = load.p_vaddr + load.p_filesz;
    let file_pages_end = align_up(file_end, PAGE).ok_or(ElfError::BadSegment)?;
    let zero_end = align_up(load.p_vaddr + load.p_memsz, PAGE).ok_or(ElfError::BadSegment)?;
    let (file, zero_start) = if load.p_filesz == 0 {
        (start..start, start)
    } else {
        (start..file_pages_end, file_pages_end)
    };
    let partial =
        load.p_memsz > load.p_filesz && load.p_filesz != 0 && !file_end.is_multiple_of(PAGE);
    Ok(Segment {
        zero: zero_start..zero_end.max(zero_start),
        zero_from: partial.then_some(file_end),
        offset: load.p_offset.saturating_sub(skew),
        file,
        prot: protection(load.p_flags),
    })
}

fn protection(flags: u32) -> Prot {
    let mut prot = Prot::empty();
    prot.set(Prot::READ, flags & ph::PF_R != 0);
    prot.set(Prot::WRITE, flags & ph::PF_W != 0);
    prot.set(Prot::EXEC, flags & ph::PF_X != 0);
    prot
}

/// The interpreter's path out of the bytes that [`Image::interp`] names.
///
/// # Errors
/// [`ElfError::BadInterp`] when they don't end in a NUL.
pub fn interp_path(bytes: &[u8]) -> Result<&[u8], ElfError> {
    match bytes.split_last() {
        Some((0, path)) => Ok(path.split(|byte| *byte == 0).next().unwrap_or(path)),
        _ => Err(ElfError::BadInterp),
    }
}

/// The first `len` bytes of the table when they already lie in `head`, the file's start.
#[must_use]
pub fn table_in<'a>(header: &Header, head: &'a [u8]) -> Option<&'a [u8]> {
    let start = usize_of(header.table_offset);
    let end = header
        .table_offset
        .checked_add(u64_of(header.table_size()))?;
    head.get(start..usize_of(end))
}

#[cfg(test)]
#[path = "elf_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "elf_fuzz.rs"]
mod fuzz;
