//! Builds the address space of a new program (`fs/binfmt_elf.c`): segments, interpreter, heap,
//! stack.
//!
//! The plan of an image is `kiln_core::elf`'s, the bytes of the stack are `kiln_core::auxv`'s; here
//! they become areas and pages of a space that nobody else sees yet. Nothing of the old program is
//! touched: the caller switches when all is there.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use kiln_core::addr::UserAddr;
use kiln_core::auxv::ArgStrings;
use kiln_core::elf::{self, ElfError, Header, Image};
use kiln_core::errno::Errno;
use kiln_core::num::usize_of;

use super::area::MapName;
use super::mapping::Mapping;
use super::space::{AddressSpace, MemoryLimits};

mod builder;

use builder::Builder;

/// Bytes of a file read to find its headers.
const HEAD: usize = 1024;

/// A file that a program image is read and mapped from.
pub(crate) trait ImageFile {
    /// Reads at an offset; fewer bytes than asked for only at the end of the file.
    ///
    /// # Errors
    /// The filesystem's.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Errno>;
    /// Its pages; `None` when it can't be mapped.
    fn mapping(&self) -> Option<Arc<Mapping>>;
    /// What `/proc/PID/maps` calls it.
    fn name(&self) -> Option<Arc<dyn MapName>>;
}

/// Finds and opens an interpreter by its path.
pub(crate) type OpenInterp<'a> = &'a dyn Fn(&[u8]) -> Result<Arc<dyn ImageFile>, Errno>;

/// What is to be run, and how.
pub(crate) struct Program<'a> {
    /// The image.
    pub(crate) file: &'a dyn ImageFile,
    /// The path as it was given to `execve`.
    pub(crate) path: &'a [u8],
    /// Arguments and environment.
    pub(crate) strings: &'a ArgStrings,
    /// User and group ids: real and effective each.
    pub(crate) ids: [u32; 4],
    /// It has more rights than who started it.
    pub(crate) secure: bool,
    /// The process's limits.
    pub(crate) limits: MemoryLimits,
    /// Addresses vary from run to run (not so with `ADDR_NO_RANDOMIZE`).
    pub(crate) randomize: bool,
    /// Fresh random bytes.
    pub(crate) random: [u64; 6],
    /// Bytes of a signal frame.
    pub(crate) min_signal_stack: u64,
    /// CPUID 1 EDX, and what `AT_HWCAP2` shows.
    pub(crate) hwcap: [u64; 2],
    /// Finds and opens the interpreter.
    pub(crate) open_interp: OpenInterp<'a>,
}

/// A program ready to start.
pub(crate) struct Loaded {
    /// Its memory.
    pub(crate) space: Arc<AddressSpace>,
    /// Where its first instruction lies, perhaps the interpreter's.
    pub(crate) entry: UserAddr,
    /// Its stack pointer.
    pub(crate) stack: UserAddr,
}

/// Why a program can't be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LoadError {
    /// What `execve` answers.
    pub(crate) errno: Errno,
    /// Linux has given the old program up by then: the process dies of SIGSEGV instead.
    pub(crate) fatal: bool,
}

impl From<Errno> for LoadError {
    fn from(errno: Errno) -> Self {
        Self {
            errno,
            fatal: false,
        }
    }
}

impl From<ElfError> for LoadError {
    fn from(error: ElfError) -> Self {
        Self {
            errno: error.errno(),
            fatal: error.is_fatal(),
        }
    }
}

/// A file with its plan.
struct Planned {
    image: Image,
    mapping: Arc<Mapping>,
    name: Option<Arc<dyn MapName>>,
}

/// Loads a program.
///
/// # Errors
/// [`LoadError`].
pub(crate) fn load(program: &Program<'_>) -> Result<Loaded, LoadError> {
    let main = plan(program.file)?;
    let interp = match &main.image.interp {
        Some(range) => Some(plan_interp(program, range)?),
        None => None,
    };
    let space = AddressSpace::new()?;
    space.set_limits(program.limits);
    let builder = Builder {
        space: &space,
        program,
    };
    let (entry, stack) = builder.build(&main, interp.as_ref())?;
    Ok(Loaded {
        space: space.clone(),
        entry: UserAddr::new(entry),
        stack: UserAddr::new(stack),
    })
}

/// Reads exactly the range.
fn read_exact(file: &dyn ImageFile, offset: u64, len: usize) -> Result<Option<Vec<u8>>, Errno> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(len, 0);
    let read = file.read_at(offset, &mut bytes)?;
    Ok((read == len).then_some(bytes))
}

fn plan(file: &dyn ImageFile) -> Result<Planned, LoadError> {
    let mut head = Vec::new();
    head.try_reserve_exact(HEAD).map_err(|_| Errno::ENOMEM)?;
    head.resize(HEAD, 0);
    let read = file.read_at(0, &mut head)?;
    head.truncate(read);
    let header = Header::parse(&head)?;
    let image = match elf::table_in(&header, &head) {
        Some(table) => Image::plan(&header, table)?,
        None => {
            let table = match read_exact(file, header.table_offset, header.table_size()) {
                Ok(Some(table)) => table,
                Err(Errno::ENOMEM) => return Err(Errno::ENOMEM.into()),
                // Whatever else keeps them from being read.
                _ => return Err(ElfError::BadHeaders.into()),
            };
            Image::plan(&header, &table)?
        }
    };
    Ok(Planned {
        image,
        mapping: file.mapping().ok_or(Errno::EACCES)?,
        name: file.name(),
    })
}

fn plan_interp(program: &Program<'_>, range: &Range<u64>) -> Result<Planned, LoadError> {
    let len = usize_of(range.end - range.start);
    let bytes = read_exact(program.file, range.start, len)?.ok_or(Errno::EIO)?;
    let file = (program.open_interp)(elf::interp_path(&bytes)?)?;
    plan(&*file).map_err(|error| match error {
        LoadError { fatal: true, .. } => error,
        LoadError {
            errno: Errno::ENOEXEC,
            ..
        } => Errno::ELIBBAD.into(),
        _ => error,
    })
}
