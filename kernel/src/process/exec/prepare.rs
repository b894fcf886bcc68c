//! The new program, built beside the old one: [`prepare`] finds its file, follows `#!` lines, works out its rights
//! and loads it. Nothing of the process has changed until [`Prepared::commit`](super) does.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::abi;
use kiln_core::auxv::ArgStrings;
use kiln_core::cred::{Credentials, ExecEffect, FileCaps, FileRights};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::perm::Want;
use kiln_core::fs::xattr::FILE_CAPABILITIES;
use kiln_core::num::u64_of;
use kiln_core::rlimit::{INFINITY, Rlimits};
use kiln_core::script::{self, HEAD_SIZE};
use kiln_core::signal::frame::FRAME_SIZE;

use crate::arch::fpu;
use crate::drivers::random;
use crate::fs::{self, FsContext, Lookup};
use crate::process::exe::Executable;
use crate::vm::MemoryLimits;
use crate::vm::loader::{self, ImageFile, Loaded, Program};

/// `ADDR_NO_RANDOMIZE` (linux/personality.h).
const NO_RANDOMIZE: u32 = 0x004_0000;
/// Personality flags that exec of a set-id program clears (`PER_CLEAR_ON_SETID`).
pub(super) const CLEARED_ON_SET_ID: u32 = 0x010_0000 | 0x040_0000 | 0x020_0000 | NO_RANDOMIZE;

/// Who runs a program, and where it is looked for.
pub(in crate::process) struct Caller<'a> {
    pub(in crate::process) fs: &'a FsContext,
    pub(in crate::process) creds: &'a Credentials,
    /// The path goes through a descriptor that the new program won't have.
    pub(in crate::process) base_closes: bool,
    /// The program gets no more rights, whatever its file says.
    pub(in crate::process) no_new: bool,
    /// Whether somebody may not see it get more: a tracer, or who shares its directories.
    pub(in crate::process) watched: &'a dyn Fn() -> bool,
    pub(in crate::process) limits: Rlimits,
    pub(in crate::process) personality: u32,
}

/// A program ready to take a process over.
pub(in crate::process) struct Prepared {
    pub(in crate::process) loaded: Loaded,
    pub(super) exe: Arc<Executable>,
    pub(in crate::process) creds: Credentials,
    pub(super) effect: ExecEffect,
    /// The last part of the path: the thread's name.
    pub(in crate::process) name: Vec<u8>,
}

/// Why a program can't be run.
pub(in crate::process) struct ExecError {
    pub(in crate::process) errno: Errno,
    /// Linux would have destroyed the old program by then: the process dies.
    pub(super) fatal: bool,
}

impl From<Errno> for ExecError {
    fn from(errno: Errno) -> Self {
        Self {
            errno,
            fatal: false,
        }
    }
}

/// The file that a path names, checked to be executable. `base`: where a relative path begins, when
/// not in the working directory; `follow`: a last symbolic link too.
pub(in crate::process) fn find(
    caller: &Caller<'_>,
    base: Option<fs::Path>,
    path: &[u8],
    follow: bool,
) -> Result<Arc<Executable>, Errno> {
    let lookup = Lookup::new(caller.fs, fs::identity(caller.creds)).at(base);
    let found = fs::vfs::resolve(&lookup, path, follow)?;
    check(&lookup, found)
}

/// An open file's own path, for execveat(2) with `AT_EMPTY_PATH`.
pub(in crate::process) fn found(
    caller: &Caller<'_>,
    path: fs::Path,
) -> Result<Arc<Executable>, Errno> {
    let lookup = Lookup::new(caller.fs, fs::identity(caller.creds));
    check(&lookup, path)
}

fn check(lookup: &Lookup<'_>, found: fs::Path) -> Result<Arc<Executable>, Errno> {
    let inode = found.inode()?;
    match inode.kind() {
        FileType::Regular => {}
        FileType::Symlink => return Err(Errno::ELOOP),
        _ => return Err(Errno::EACCES),
    }
    if found.mount.has(fs::MountFlags::NO_EXEC) {
        return Err(Errno::EACCES);
    }
    lookup.check(inode, Want::EXEC)?;
    Executable::open(found)
}

/// Builds the program that `file` is. `path` is how it was named.
pub(in crate::process) fn prepare(
    caller: &Caller<'_>,
    file: Arc<Executable>,
    path: &[u8],
    strings: &mut ArgStrings,
) -> Result<Prepared, ExecError> {
    let file = through_scripts(caller, file, path, strings)?;
    let (creds, effect) = new_credentials(caller, &file)?;
    let mut random = [0; 48];
    random::fill(&mut random);
    let mut words = [0; 6];
    for (word, bytes) in words.iter_mut().zip(random.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    let open_interp = |path: &[u8]| -> Result<Arc<dyn ImageFile>, Errno> {
        let interpreter = find(caller, None, path, true)?;
        Ok(interpreter)
    };
    let [hwcap, hwcap2] = crate::arch::features::capabilities();
    let program = Program {
        file: &*file,
        path,
        strings,
        ids: [
            creds.uids.real,
            creds.uids.effective,
            creds.gids.real,
            creds.gids.effective,
        ],
        secure: effect.secure,
        limits: memory_limits(&caller.limits, &creds),
        randomize: caller.personality & NO_RANDOMIZE == 0,
        random: words,
        // Frame, FPU state with its mark, and what aligning both may take.
        min_signal_stack: u64_of(FRAME_SIZE + fpu::size() + 4 + 64 + 16),
        hwcap: [hwcap, hwcap2],
        open_interp: &open_interp,
    };
    let loaded = loader::load(&program).map_err(|error| ExecError {
        errno: error.errno,
        fatal: error.fatal,
    })?;
    Ok(Prepared {
        loaded,
        exe: file,
        creds,
        effect,
        name: last_part(path)?,
    })
}

/// Follows `#!` lines to the file that is really run.
fn through_scripts(
    caller: &Caller<'_>,
    mut file: Arc<Executable>,
    path: &[u8],
    strings: &mut ArgStrings,
) -> Result<Arc<Executable>, ExecError> {
    let mut head = [0; HEAD_SIZE];
    let mut name: Option<Vec<u8>> = None;
    for _ in 0..=script::MAX_DEPTH {
        let length = file.read_at(0, &mut head)?;
        let head = head.get(..length).unwrap_or_default();
        let Some(line) = script::parse(head)? else {
            return Ok(file);
        };
        if caller.base_closes {
            // The interpreter couldn't open the script.
            return Err(Errno::ENOENT.into());
        }
        let script = name.as_deref().unwrap_or(path);
        let replaced = match line.argument {
            Some(argument) => strings.replace_first_arg(&[line.interpreter, argument, script]),
            None => strings.replace_first_arg(&[line.interpreter, script]),
        };
        replaced.map_err(Errno::from)?;
        file = find(caller, None, line.interpreter, true)?;
        name = Some(fs::memory::try_copy(line.interpreter)?);
    }
    Err(Errno::ELOOP.into())
}

/// Who runs the program, by the file's set-id bits and capabilities; and what else that changes.
fn new_credentials(
    caller: &Caller<'_>,
    file: &Executable,
) -> Result<(Credentials, ExecEffect), Errno> {
    let inode = file.inode();
    let attr = inode.attr();
    let mut rights = FileRights::default();
    if !file.path().mount.has(fs::MountFlags::NO_SUID) {
        rights.uid = (attr.mode & abi::S_ISUID != 0).then_some(attr.uid);
        let group_bits = abi::S_ISGID | abi::S_IXGRP;
        rights.gid = (attr.mode & group_bits == group_bits).then_some(attr.gid);
        let caps = inode.ops().get_xattr(inode, FILE_CAPABILITIES);
        rights.caps = caps.ok().as_deref().and_then(FileCaps::parse);
    }
    let made = caller
        .creds
        .for_exec(&rights, caller.no_new, caller.watched);
    let (creds, mut effect) = made?;
    // Who can't read the program can't do so in its memory either.
    effect.private |= fs::identity(caller.creds).check(&attr, Want::READ).is_err();
    Ok((creds, effect))
}

/// The limits that an address space keeps.
pub(crate) fn memory_limits(limits: &Rlimits, creds: &Credentials) -> MemoryLimits {
    MemoryLimits {
        stack: limits.soft(abi::RLIMIT_STACK),
        address_space: limits.soft(abi::RLIMIT_AS),
        data: limits.soft(abi::RLIMIT_DATA),
        locked: if creds.has(abi::CAP_IPC_LOCK) {
            INFINITY
        } else {
            limits.soft(abi::RLIMIT_MEMLOCK)
        },
    }
}

fn last_part(path: &[u8]) -> Result<Vec<u8>, Errno> {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    fs::memory::try_copy(name.get(..15).unwrap_or(name))
}
