//! `/proc`: what the kernel and its processes tell of themselves, as files.
//!
//! The tree is this room's: [`tree`] says what there is ([`names`]: in a process's directory),
//! [`list`] lists it, [`contents`] says what its files say; a text is read as [`super::text`] has it.
//! Contents come from above: the process room registers [`Processes`], and whoever has something
//! to tell registers a [`File`] ([`register`]); [`system`] has the files that this room can write
//! by itself. proc(5) says what they look like.

mod contents;
mod list;
mod mem;
mod names;
mod ns;
mod pagemap;
mod system;
mod tree;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::stat::StatFs;

use super::context::FsContext;
use super::fdtable::FdTable;
use super::inode::Inode;
use super::memory::{try_arc, try_box};
use super::mount::Path;
use super::superblock::{FileSystemType, MountRequest, SuperBlock, SuperOps, check_options};
use super::text::Changes;
use crate::sync::Once;
use crate::vm::AddressSpace;

pub(crate) use super::text::Text;
pub(crate) use names::{PidFile, PidLink};
pub(crate) use ns::kind_of as namespace_kind;
pub(crate) use system::page_counts;
pub(crate) use tree::process_of;

/// The type `proc`.
pub(crate) const TYPE: FileSystemType = FileSystemType {
    name: "proc",
    driver: None,
    option: Some(check_option),
    mount: |request: &MountRequest<'_>| {
        check_options(request.options, check_option)?;
        root()
    },
};

/// Linux's options. They hide processes, which are shown here as without them.
fn check_option(key: &[u8], value: Option<&[u8]>) -> Result<(), Errno> {
    let value = value.ok_or(Errno::EINVAL)?;
    let known = match key {
        b"hidepid" => {
            let names: [&[u8]; 8] = [
                b"0",
                b"1",
                b"2",
                b"4",
                b"off",
                b"noaccess",
                b"invisible",
                b"ptraceable",
            ];
            names.contains(&value)
        }
        b"gid" => number(value).is_ok_and(|gid| u32::try_from(gid).is_ok()),
        b"subset" => value == b"pid",
        _ => false,
    };
    known.then_some(()).ok_or(Errno::EINVAL)
}

/// What the process room tells. Processes are named by their id, threads by theirs; ESRCH for
/// those that are gone.
pub(crate) trait Processes: Send + Sync {
    /// The caller's process and thread.
    fn current(&self) -> (u32, u32);
    /// The lowest id of a process, `from` or above.
    fn next_process(&self, from: u32) -> Option<u32>;
    /// The lowest id of a thread of `pid`, `from` or above.
    fn next_thread(&self, pid: u32, from: u32) -> Option<u32>;
    /// How many threads a process has.
    fn threads(&self, pid: u32) -> u32;
    /// User and group that own the files of a process.
    fn owner(&self, pid: u32) -> Result<(u32, u32), Errno>;
    /// Whether its owner may look into it.
    fn is_dumpable(&self, pid: u32) -> bool;
    /// Writes the text of a process's file; of thread `tid`, where threads differ.
    fn text(&self, pid: u32, tid: u32, file: PidFile, out: &mut Text) -> Result<(), Errno>;
    /// Takes what was written to a process's file.
    fn set(&self, pid: u32, tid: u32, file: PidFile, value: &[u8]) -> Result<(), Errno> {
        let _ = (pid, tid, file, value);
        Err(Errno::EINVAL)
    }
    /// Where one of its links leads.
    fn link(&self, pid: u32, tid: u32, link: PidLink) -> Result<Path, Errno>;
    /// Its memory; ESRCH when there is none.
    fn memory(&self, pid: u32, tid: u32) -> Result<Arc<AddressSpace>, Errno>;
    /// Its descriptors.
    fn files(&self, pid: u32, tid: u32) -> Result<Arc<FdTable>, Errno>;
    /// Where it stands in the tree.
    fn context(&self, pid: u32, tid: u32) -> Result<Arc<FsContext>, Errno>;
    /// Whether the caller may look into the process (ptrace(2), "access mode checking").
    fn may_inspect(&self, pid: u32) -> bool;
    /// Whether the caller may know where in memory pages lie.
    fn may_see_frames(&self) -> bool;
}

/// Changes of the machine's names.
pub(crate) static HOST_NAME: Changes = Changes::new();
pub(crate) static DOMAIN_NAME: Changes = Changes::new();

static PROCESSES: Once<&'static dyn Processes> = Once::new();

/// Says who tells about processes.
pub(crate) fn set_processes(processes: &'static dyn Processes) {
    PROCESSES.call_once(|| processes);
}

fn processes() -> Result<&'static dyn Processes, Errno> {
    PROCESSES.get().copied().ok_or(Errno::ENOENT)
}

/// Writes a file's text.
pub(crate) type ReadText = fn(&mut Text) -> Result<(), Errno>;
/// Takes what is written to a file.
pub(crate) type WriteText = fn(&[u8]) -> Result<(), Errno>;

/// A file about the system as a whole.
#[derive(Clone, Copy)]
pub(crate) struct SystemFile {
    /// Its path below `/proc`, such as `sys/kernel/hostname`.
    pub(crate) path: &'static str,
    /// Permissions.
    pub(crate) mode: u32,
    /// Its text.
    pub(crate) text: Content,
    /// Takes what is written to it.
    pub(crate) write: Option<WriteText>,
}

/// A system file's text.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    /// Always the same.
    Fixed(&'static str),
    /// Written when it is read.
    Told(ReadText),
    /// A number, which the superuser changes within these bounds.
    Number(&'static AtomicU64, &'static (u64, u64)),
}

impl SystemFile {
    /// Whether something can be written to it.
    fn takes(&self) -> bool {
        self.write.is_some() || matches!(self.text, Content::Number(..))
    }

    /// A file that always has the same text.
    pub(crate) const fn fixed(path: &'static str, text: &'static str) -> Self {
        Self {
            path,
            mode: 0o444,
            text: Content::Fixed(text),
            write: None,
        }
    }

    /// A file that everybody may read.
    pub(crate) const fn readable(path: &'static str, read: ReadText) -> Self {
        Self {
            path,
            mode: 0o444,
            text: Content::Told(read),
            write: None,
        }
    }
}

/// A file that shows a number, an `AtomicU64`, and lets the superuser change it, within bounds if there
/// are any.
macro_rules! number_file {
    ($path:literal, $number:path) => {
        $crate::fs::procfs::number_file!($path, $number, 0, u64::MAX)
    };
    ($path:literal, $number:path, $least:expr, $most:expr) => {
        $crate::fs::procfs::SystemFile {
            path: $path,
            mode: 0o644,
            text: $crate::fs::procfs::Content::Number(&$number, &($least, $most)),
            write: None,
        }
    };
}
pub(crate) use number_file;

/// What a [`number_file`] reads as.
pub(crate) fn show_number(number: &AtomicU64, out: &mut Text) -> Result<(), Errno> {
    out.put(format_args!("{}\n", number.load(Ordering::Relaxed)))
}

/// What writing to a [`number_file`] does.
pub(crate) fn set_number(
    number: &AtomicU64,
    text: &[u8],
    least: u64,
    most: u64,
) -> Result<(), Errno> {
    number.store(number_within(text, least, most)?, Ordering::Relaxed);
    Ok(())
}

/// Most that a number can be which is an `int` in Linux.
pub(crate) const INT_MAX: u64 = i32::MAX as u64;

/// A number as it is written to a file here, within bounds.
pub(crate) fn number_within(text: &[u8], least: u64, most: u64) -> Result<u64, Errno> {
    let value = number(text)?;
    let fits = (least..=most).contains(&value);
    fits.then_some(value).ok_or(Errno::EINVAL)
}

/// A number as it is written to a file here: decimal, or in C's other bases.
pub(crate) fn number(text: &[u8]) -> Result<u64, Errno> {
    let text = text.trim_ascii();
    let (digits, base) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'0', digits @ ..] if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    let digits = core::str::from_utf8(digits).map_err(|_| Errno::EINVAL)?;
    u64::from_str_radix(digits, base).map_err(|_| Errno::EINVAL)
}

/// Two numbers as they are written to a file here, over what they were.
pub(crate) fn pair(text: &[u8], mut pair: [u32; 2]) -> Result<[u32; 2], Errno> {
    let words = text.split(u8::is_ascii_whitespace);
    let words = words.filter(|word| !word.is_empty());
    for (to, word) in pair.iter_mut().zip(words) {
        *to = u32::try_from(number(word)?).map_err(|_| Errno::EINVAL)?;
    }
    Ok(pair)
}

/// The tables of the rooms above, each as it lies in the image: that is all the work at boot.
static MORE_TABLES: Once<&'static [&'static [SystemFile]]> = Once::new();

/// Adds the files of the rooms above: once, by the uppermost.
pub(crate) fn register(tables: &'static [&'static [SystemFile]]) {
    MORE_TABLES.call_once(|| tables);
}

/// Every file about the system; where two have one path the last counts.
fn files() -> impl DoubleEndedIterator<Item = &'static SystemFile> {
    /// What this room can tell by itself.
    static TABLES: [&[SystemFile]; 2] = [system::FILES, super::tty::devpts::FILES];
    let more = MORE_TABLES.get().copied().unwrap_or_default();
    more.iter().chain(&TABLES).copied().flatten()
}

struct Super;

/// What `st_blksize` says, as it does on Linux; `statfs` says otherwise there, too.
const BLOCK_SIZE: u32 = 1024;

impl SuperOps for Super {
    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs {
            magic: abi::PROC_SUPER_MAGIC,
            block_size: 4096,
            name_max: 255,
            ..StatFs::default()
        })
    }
}

fn root() -> Result<Arc<Inode>, Errno> {
    static ROOT: Once<Arc<Inode>> = Once::new();
    let root = ROOT.try_call_once(|| {
        let sb = SuperBlock::with_block_size("proc", BLOCK_SIZE, try_box(Super)?)?;
        Inode::told_root(sb, try_arc(tree::Node::Root)?)
    })?;
    Ok(Arc::clone(root))
}
