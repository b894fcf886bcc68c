//! A new program's stack: argument and environment strings, and what the kernel tells the
//! program about itself (the auxiliary vector).
//!
//! [`ArgStrings`] collects the strings under Linux's limits (`fs/exec.c`); [`build`] lays them
//! and the vector out as bytes, from the stack pointer to the top of the stack, exactly as
//! `fs/binfmt_elf.c` does.

use alloc::vec::Vec;

use crate::abi;
use crate::num::{u64_of, usize_of};

/// Longest string with its NUL (`MAX_ARG_STRLEN`).
pub const STRING_MAX: usize = 131_072;
/// What strings and pointers may always take (`ARG_MAX`).
const ALWAYS_ALLOWED: u64 = 131_072;
/// What they may take at most: three quarters of the default stack.
const NEVER_MORE: u64 = (8 << 20) / 4 * 3;
/// The machine's name for `AT_PLATFORM`.
const PLATFORM: &[u8] = b"x86_64\0";
const WORD: usize = 8;

/// Why strings or stack couldn't be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StackError {
    /// A string or their sum passes the limits: `E2BIG`.
    TooBig,
    /// No memory.
    NoMemory,
}

impl From<StackError> for crate::errno::Errno {
    fn from(error: StackError) -> Self {
        match error {
            StackError::TooBig => Self::E2BIG,
            StackError::NoMemory => Self::ENOMEM,
        }
    }
}

/// Argument and environment strings in one buffer, each with its NUL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArgStrings {
    bytes: Vec<u8>,
    args: usize,
    envs: usize,
    limit: u64,
}

impl ArgStrings {
    /// An empty set that takes as much as a soft `RLIMIT_STACK` of `stack_limit` bytes allows beside the
    /// file's own name of `name_len` bytes, which lies among the strings.
    #[must_use]
    pub fn new(stack_limit: u64, name_len: usize) -> Self {
        let limit = NEVER_MORE.min(stack_limit / 4).max(ALWAYS_ALLOWED);
        Self {
            limit: limit.saturating_sub(u64_of(name_len) + 1),
            ..Self::default()
        }
    }

    /// Number of arguments.
    #[must_use]
    pub fn args(&self) -> usize {
        self.args
    }

    /// Number of environment strings.
    #[must_use]
    pub fn envs(&self) -> usize {
        self.envs
    }

    /// All strings with their NULs, arguments first.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How long a next string may be, its NUL included.
    #[must_use]
    pub fn room(&self) -> usize {
        let used = u64_of(self.bytes.len() + (self.args.max(1) + self.envs + 1) * WORD);
        usize_of(self.limit.saturating_sub(used)).min(STRING_MAX)
    }

    /// Adds an argument (without NUL); all arguments come before the environment.
    ///
    /// # Errors
    /// [`StackError`].
    pub fn push_arg(&mut self, arg: &[u8]) -> Result<(), StackError> {
        self.push(arg)?;
        self.args += 1;
        Ok(())
    }

    /// Adds an environment string (without NUL).
    ///
    /// # Errors
    /// [`StackError`].
    pub fn push_env(&mut self, env: &[u8]) -> Result<(), StackError> {
        self.push(env)?;
        self.envs += 1;
        Ok(())
    }

    /// Puts `new` (in this order) in the place of the first argument: what a `#!` line does.
    ///
    /// # Errors
    /// [`StackError`]; the strings are unchanged.
    pub fn replace_first_arg(&mut self, new: &[&[u8]]) -> Result<(), StackError> {
        let old_len = match self.args {
            0 => 0,
            _ => self
                .bytes
                .iter()
                .position(|b| *b == 0)
                .map_or(0, |at| at + 1),
        };
        let mut next = Self {
            bytes: Vec::new(),
            args: 0,
            envs: self.envs,
            // How many pointers there will be was counted before the file was known to be a script.
            limit: self.limit + u64_of(new.len().saturating_sub(1) * WORD),
        };
        new.iter().try_for_each(|arg| next.push_arg(arg))?;
        next.args += self.args.saturating_sub(1);
        let rest = self.bytes.get(old_len..).unwrap_or_default();
        next.bytes
            .try_reserve(rest.len())
            .map_err(|_| StackError::NoMemory)?;
        next.bytes.extend_from_slice(rest);
        if next.used() > next.limit {
            return Err(StackError::TooBig);
        }
        *self = next;
        Ok(())
    }

    fn used(&self) -> u64 {
        u64_of(self.bytes.len() + (self.args.max(1) + self.envs) * WORD)
    }

    fn push(&mut self, string: &[u8]) -> Result<(), StackError> {
        if string.len() >= self.room() {
            return Err(StackError::TooBig);
        }
        self.bytes
            .try_reserve(string.len() + 1)
            .map_err(|_| StackError::NoMemory)?;
        self.bytes.extend_from_slice(string);
        self.bytes.push(0);
        Ok(())
    }
}

/// What the auxiliary vector says beyond the strings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AuxInfo {
    /// `AT_SYSINFO_EHDR`: where the vDSO lies.
    pub vdso: u64,
    /// `AT_HWCAP`: CPUID 1 EDX.
    pub hwcap: u64,
    /// `AT_HWCAP2`: bit 1: FSGSBASE may be used.
    pub hwcap2: u64,
    /// `AT_MINSIGSTKSZ`: bytes that a signal frame needs.
    pub min_signal_stack: u64,
    /// `AT_PHDR`: where the program headers lie in memory.
    pub phdr: u64,
    /// `AT_PHNUM`.
    pub phnum: u64,
    /// `AT_BASE`: where the interpreter lies; 0 without one.
    pub base: u64,
    /// `AT_ENTRY`: the program's entry point.
    pub entry: u64,
    /// `AT_UID`, `AT_EUID`, `AT_GID`, `AT_EGID`.
    pub ids: [u32; 4],
    /// `AT_SECURE`: the program has more rights than who started it.
    pub secure: bool,
}

/// A stack ready to be written to memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InitialStack<'a> {
    /// What RSP is.
    pub pointer: u64,
    /// What lies there: the pointers, the vector, and what that points to.
    low: Vec<u8>,
    /// What lies further up, above the jitter: the strings and the path, each with its address.
    high: [(u64, &'a [u8]); 2],
    /// Addresses of the first argument string, of the first environment string, and past the
    /// last one, for `/proc/PID/cmdline` and `environ`.
    pub strings: [u64; 3],
    /// Where the auxiliary vector lies and its length, for `/proc/PID/auxv`.
    pub vector: (u64, usize),
}

/// The numbers around the strings.
pub struct Frame<'a> {
    /// First address above the stack.
    pub top: u64,
    /// Random distance between strings and vector, in bytes; only the low 13 bits are used.
    pub jitter: u64,
    /// What `AT_EXECFN` shows: the path as it was given to `execve`.
    pub path: &'a [u8],
    /// What `AT_RANDOM` shows.
    pub random: [u8; 16],
    /// The rest of the vector.
    pub aux: AuxInfo,
}

/// Lays out the initial stack.
///
/// # Errors
/// [`StackError`].
pub fn build<'a>(
    strings: &'a ArgStrings,
    frame: &Frame<'a>,
) -> Result<InitialStack<'a>, StackError> {
    let layout = Layout::new(strings, frame)?;
    let len = usize_of(layout.platform - layout.pointer) + PLATFORM.len();
    let mut low = Vec::new();
    low.try_reserve_exact(len)
        .map_err(|_| StackError::NoMemory)?;
    low.resize(len, 0);
    let mut words = low.chunks_exact_mut(WORD);
    let mut put = |word: u64| {
        if let Some(place) = words.next() {
            place.copy_from_slice(&word.to_le_bytes());
        }
    };
    put(u64_of(strings.args));
    let env_start = layout.pointers(strings, &mut put);
    let vector_at = layout.pointer + u64_of((strings.args + strings.envs + 3) * WORD);
    for (key, value) in vector(frame, &layout) {
        put(key);
        put(value);
    }
    for (addr, bytes) in [
        (layout.random, &frame.random[..]),
        (layout.platform, PLATFORM),
    ] {
        let at = usize_of(addr - layout.pointer);
        if let Some(place) = low.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
    Ok(InitialStack {
        pointer: layout.pointer,
        low,
        high: [(layout.strings, &strings.bytes), (layout.path, frame.path)],
        strings: [layout.strings, env_start, layout.path],
        vector: (vector_at, VECTOR_WORDS * WORD),
    })
}

impl InitialStack<'_> {
    /// What lies in the `len` bytes at `at`, each piece with its distance from there; all else is 0.
    pub fn pieces(&self, at: u64, len: usize) -> impl Iterator<Item = (usize, &[u8])> {
        let all = [
            (self.pointer, self.low.as_slice()),
            self.high[0],
            self.high[1],
        ];
        all.into_iter().filter_map(move |(start, bytes)| {
            let skipped = usize_of(at.saturating_sub(start));
            let distance = usize_of(start.saturating_sub(at));
            let room = len.checked_sub(distance)?;
            let rest = bytes.get(skipped..).filter(|rest| !rest.is_empty())?;
            Some((distance, rest.get(..room).unwrap_or(rest)))
                .filter(|(_, piece)| !piece.is_empty())
        })
    }

    /// The auxiliary vector.
    #[must_use]
    pub fn vector_bytes(&self) -> &[u8] {
        let (at, len) = self.vector;
        let from = usize_of(at - self.pointer);
        self.low.get(from..from + len).unwrap_or_default()
    }
}

/// Entries of the vector, `AT_NULL` included, in words.
const VECTOR_WORDS: usize = 21 * 2;

fn vector(frame: &Frame<'_>, layout: &Layout) -> [(u64, u64); VECTOR_WORDS / 2] {
    let aux = &frame.aux;
    let [uid, euid, gid, egid] = aux.ids.map(u64::from);
    [
        (abi::AT_SYSINFO_EHDR, aux.vdso),
        (abi::AT_MINSIGSTKSZ, aux.min_signal_stack),
        (abi::AT_HWCAP, aux.hwcap),
        (abi::AT_PAGESZ, u64_of(crate::addr::PAGE_SIZE)),
        (abi::AT_CLKTCK, 100),
        (abi::AT_PHDR, aux.phdr),
        (abi::AT_PHENT, u64::from(crate::elf::PROGRAM_HEADER_SIZE)),
        (abi::AT_PHNUM, aux.phnum),
        (abi::AT_BASE, aux.base),
        (abi::AT_FLAGS, 0),
        (abi::AT_ENTRY, aux.entry),
        (abi::AT_UID, uid),
        (abi::AT_EUID, euid),
        (abi::AT_GID, gid),
        (abi::AT_EGID, egid),
        (abi::AT_SECURE, u64::from(aux.secure)),
        (abi::AT_RANDOM, layout.random),
        (abi::AT_HWCAP2, aux.hwcap2),
        (abi::AT_EXECFN, layout.path),
        (abi::AT_PLATFORM, layout.platform),
        (abi::AT_NULL, 0),
    ]
    .map(|(key, value)| (u64::from(key), value))
}

/// Where each part lies.
struct Layout {
    path: u64,
    strings: u64,
    platform: u64,
    random: u64,
    pointer: u64,
}

impl Layout {
    fn new(strings: &ArgStrings, frame: &Frame<'_>) -> Result<Self, StackError> {
        let down =
            |from: u64, bytes: usize| from.checked_sub(u64_of(bytes)).ok_or(StackError::TooBig);
        // The last word of a stack is always 0.
        let path = down(frame.top, WORD + frame.path.len() + 1)?;
        let start = down(path, strings.bytes.len())?;
        let aligned = down(start, usize_of(frame.jitter & 0x1FFF))? & !15;
        let platform = down(aligned, PLATFORM.len())?;
        let random = down(platform, 16)?;
        let vector = down(random, VECTOR_WORDS * WORD)?;
        let pointers = (strings.args + 1 + strings.envs + 1 + 1) * WORD;
        Ok(Self {
            path,
            strings: start,
            platform,
            random,
            pointer: down(vector, pointers)? & !15,
        })
    }

    /// Writes the two pointer arrays; the address of the first environment string.
    fn pointers(&self, strings: &ArgStrings, put: &mut impl FnMut(u64)) -> u64 {
        let mut at = self.strings;
        let mut env_start = at;
        let lengths = strings.bytes.split_inclusive(|byte| *byte == 0);
        let mut lengths = lengths.map(|string| u64_of(string.len()));
        for count in [strings.args, strings.envs] {
            env_start = at;
            for len in lengths.by_ref().take(count) {
                put(at);
                at += len;
            }
            put(0);
        }
        env_start
    }
}

#[cfg(test)]
#[path = "auxv_tests.rs"]
mod tests;
