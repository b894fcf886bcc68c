//! What `open` was asked for: the flag word taken apart, as open(2) and `build_open_flags` have it.

use super::attr::MODE_BITS;
use super::perm::Want;
use crate::abi;
use crate::errno::Errno;

/// The flag word of `open`, `openat` and `openat2`, checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenFlags {
    /// The flags as given, unknown ones left out, `O_LARGEFILE` added unless it is `O_PATH`.
    pub raw: u32,
    /// Permission bits for a new file, the umask not yet taken off.
    pub mode: u32,
}

/// Flags `open` knows; it ignores others, `openat2` refuses them.
const KNOWN: u32 = abi::O_ACCMODE
    | abi::O_CREAT
    | abi::O_EXCL
    | abi::O_NOCTTY
    | abi::O_TRUNC
    | abi::O_APPEND
    | abi::O_NONBLOCK
    | abi::O_SYNC
    | abi::FASYNC
    | abi::O_DIRECT
    | abi::O_LARGEFILE
    | abi::O_DIRECTORY
    | abi::O_NOFOLLOW
    | abi::O_NOATIME
    | abi::O_CLOEXEC
    | abi::O_PATH
    | abi::O_TMPFILE;

/// The bit of `O_TMPFILE` that isn't `O_DIRECTORY`'s.
const TMPFILE_BIT: u32 = abi::O_TMPFILE & !abi::O_DIRECTORY;

/// Flags that last with the open file and show in `F_GETFL`.
const KEPT: u32 = !(abi::O_CREAT | abi::O_EXCL | abi::O_NOCTTY | abi::O_TRUNC | abi::O_CLOEXEC);

/// Flags that `F_SETFL` changes.
pub const SETTABLE: u32 = abi::O_APPEND | abi::O_NONBLOCK | abi::O_DIRECT | abi::O_NOATIME;

impl OpenFlags {
    /// As `open` takes them: unknown flags are dropped, the mode counts only where it is used.
    ///
    /// # Errors
    /// EINVAL for combinations that mean nothing.
    pub fn new(raw: u32, mode: u32) -> Result<Self, Errno> {
        let mut raw = (raw & KNOWN) | abi::O_LARGEFILE;
        if raw & abi::O_PATH != 0 {
            raw &= abi::O_DIRECTORY | abi::O_NOFOLLOW | abi::O_PATH | abi::O_CLOEXEC;
        }
        let creates = raw & (abi::O_CREAT | TMPFILE_BIT) != 0;
        let flags = Self {
            raw,
            mode: if creates { mode & MODE_BITS } else { 0 },
        };
        flags.check()?;
        Ok(flags)
    }

    /// As `openat2` takes them: nothing is ignored.
    ///
    /// # Errors
    /// EINVAL for what [`Self::new`] would have dropped, and for what it refuses.
    pub fn strict(raw: u64, mode: u64) -> Result<Self, Errno> {
        let (Ok(raw), Ok(mode)) = (u32::try_from(raw), u32::try_from(mode)) else {
            return Err(Errno::EINVAL);
        };
        let path_allows = abi::O_DIRECTORY | abi::O_NOFOLLOW | abi::O_PATH | abi::O_CLOEXEC;
        let creates = raw & (abi::O_CREAT | TMPFILE_BIT) != 0;
        let bad_mode = if creates {
            mode & !MODE_BITS != 0
        } else {
            mode != 0
        };
        let bad_path = raw & abi::O_PATH != 0 && raw & !path_allows != 0;
        if raw & !KNOWN != 0 || bad_mode || bad_path {
            return Err(Errno::EINVAL);
        }
        Self::new(raw, mode)
    }

    fn check(self) -> Result<(), Errno> {
        // Once it made a regular file of that name; since Linux 6.4 it is refused.
        let makes_dir = abi::O_DIRECTORY | abi::O_CREAT;
        if self.raw & makes_dir == makes_dir {
            return Err(Errno::EINVAL);
        }
        if self.has(TMPFILE_BIT) {
            let shape = self.raw & (abi::O_TMPFILE | abi::O_CREAT);
            if shape != abi::O_TMPFILE || !self.writes() {
                return Err(Errno::EINVAL);
            }
        }
        Ok(())
    }

    /// Whether any of these flags is given.
    #[must_use]
    #[inline]
    pub const fn has(self, flag: u32) -> bool {
        self.raw & flag != 0
    }

    /// Opened for reading. Access mode 3 gives neither, but wants both permissions.
    #[must_use]
    #[inline]
    pub const fn reads(self) -> bool {
        !self.has(abi::O_PATH) && matches!(self.raw & abi::O_ACCMODE, abi::O_RDONLY | abi::O_RDWR)
    }

    /// Opened for writing.
    #[must_use]
    #[inline]
    pub const fn writes(self) -> bool {
        matches!(self.raw & abi::O_ACCMODE, abi::O_WRONLY | abi::O_RDWR)
    }

    /// Permissions to ask for on an existing file.
    #[must_use]
    pub fn want(self) -> Want {
        let mut want = match self.raw & abi::O_ACCMODE {
            abi::O_RDONLY => Want::READ,
            abi::O_WRONLY => Want::WRITE,
            _ => Want::READ | Want::WRITE,
        };
        if self.has(abi::O_TRUNC) {
            want |= Want::WRITE;
        }
        want
    }

    /// Whether the final component, a link, is followed.
    #[must_use]
    #[inline]
    pub const fn follows(self) -> bool {
        !self.has(abi::O_NOFOLLOW)
            && self.raw & (abi::O_CREAT | abi::O_EXCL) != abi::O_CREAT | abi::O_EXCL
    }

    /// `O_TMPFILE`: an unnamed file in the directory.
    #[must_use]
    #[inline]
    pub const fn unnamed(self) -> bool {
        self.has(TMPFILE_BIT)
    }

    /// What the open file keeps for `F_GETFL`.
    #[must_use]
    #[inline]
    pub const fn kept(self) -> u32 {
        self.raw & KEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations() {
        assert_eq!(
            OpenFlags::new(abi::O_TMPFILE, 0o600),
            Err(Errno::EINVAL),
            "not for writing"
        );
        assert!(OpenFlags::new(abi::O_TMPFILE | abi::O_RDWR, 0o600).is_ok());
        assert_eq!(
            OpenFlags::strict(u64::from(abi::O_RDONLY), 0o600),
            Err(Errno::EINVAL)
        );
        assert_eq!(OpenFlags::strict(1 << 30, 0), Err(Errno::EINVAL));
        let path = OpenFlags::new(abi::O_PATH | abi::O_CREAT | abi::O_RDWR, 0o600);
        assert_eq!(
            path.map(|flags| (flags.reads(), flags.has(abi::O_CREAT))),
            Ok((false, false))
        );
    }

    #[test]
    fn exclusive_creation_follows_nothing() {
        let flags = OpenFlags::new(abi::O_CREAT | abi::O_EXCL | abi::O_WRONLY, 0o666);
        assert_eq!(flags.map(OpenFlags::follows), Ok(false));
        assert_eq!(
            flags.map(OpenFlags::kept),
            Ok(abi::O_WRONLY | abi::O_LARGEFILE)
        );
    }
}
