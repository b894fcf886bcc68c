//! [`Error`]: what can go wrong inside the ext4 room.
//!
//! The syscall edge turns it into an `Errno` with [`Error::errno`], as Linux's ext4 answers.

use crate::errno::Errno;
use core::fmt;

/// A failed ext4 operation. The file system is as it was before the operation began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The device failed.
    Io,
    /// A structure on the disk contradicts itself; the text names it.
    Corrupt(&'static str),
    /// A structure's checksum is wrong; the text names it.
    BadChecksum(&'static str),
    /// Not an ext2/3/4 file system at all.
    NotExt4,
    /// A feature, or a value of one, that this room doesn't know; the text names it.
    Unsupported(&'static str),
    /// The journal holds committed changes and may not be replayed here.
    NeedsRecovery,
    NoMemory,
    NoSpace,
    ReadOnly,
    NotFound,
    Exists,
    NotDirectory,
    IsDirectory,
    NotEmpty,
    NameTooLong,
    TooManyLinks,
    /// A size or offset beyond what the format can hold.
    TooBig,
    Invalid,
    /// An operation this kind of file doesn't have.
    NotPermitted,
    /// The extended attribute isn't there.
    NoAttribute,
    /// The caller's buffer is too small.
    Range,
    /// An inode number that names no file.
    Stale,
}

/// What this room's functions return.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// The error number that Linux's ext4 answers in this case.
    #[must_use]
    pub fn errno(self) -> Errno {
        match self {
            Self::Io => Errno::EIO,
            Self::Corrupt(_) => Errno::EUCLEAN,
            Self::BadChecksum(_) => Errno::EBADMSG,
            Self::NotExt4 | Self::Unsupported(_) | Self::Invalid => Errno::EINVAL,
            Self::NeedsRecovery | Self::ReadOnly => Errno::EROFS,
            Self::NoMemory => Errno::ENOMEM,
            Self::NoSpace => Errno::ENOSPC,
            Self::NotFound => Errno::ENOENT,
            Self::Exists => Errno::EEXIST,
            Self::NotDirectory => Errno::ENOTDIR,
            Self::IsDirectory => Errno::EISDIR,
            Self::NotEmpty => Errno::ENOTEMPTY,
            Self::NameTooLong => Errno::ENAMETOOLONG,
            Self::TooManyLinks => Errno::EMLINK,
            Self::TooBig => Errno::EFBIG,
            Self::NotPermitted => Errno::EOPNOTSUPP,
            Self::NoAttribute => Errno::ENODATA,
            Self::Range => Errno::ERANGE,
            Self::Stale => Errno::ESTALE,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt(what) => write!(f, "corrupt {what}"),
            Self::BadChecksum(what) => write!(f, "wrong checksum of {what}"),
            Self::Unsupported(what) => write!(f, "unsupported: {what}"),
            Self::NotExt4 => f.write_str("not an ext2, ext3 or ext4 file system"),
            Self::NeedsRecovery => f.write_str("the journal needs recovery"),
            other => write!(f, "{}", other.errno()),
        }
    }
}

impl core::error::Error for Error {}
