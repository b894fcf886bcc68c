//! [`Errno`]: Linux's error numbers, as a system call answers them.
//!
//! Inside a room errors are small enums of the room's own; `Errno` is made at the syscall's edge
//! or where the VFS's contract is stated in Linux's own terms. Values: asm-generic/errno*.h, by
//! way of `linux-raw-sys`.

use core::fmt;
use core::num::NonZeroU64;

use crate::num::low16;

/// A Linux error number, 1..=4095.
///
/// It is as wide as a register so that a `Result` of it and of a number or a reference comes back in two
/// registers rather than through memory: a fiftieth less to run a call, and a hundredth less to load.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(NonZeroU64);

impl Errno {
    /// The positive error number.
    #[must_use]
    #[inline]
    pub const fn number(self) -> u16 {
        low16(self.0.get())
    }

    /// What a system call that fails so leaves in RAX: the negated number.
    #[must_use]
    #[inline]
    pub const fn to_return(self) -> u64 {
        self.0.get().wrapping_neg()
    }

    /// The error's name, `"ENOENT"`, or `"E?"` for one without.
    #[must_use]
    #[inline]
    pub fn name(self) -> &'static str {
        let number = self.number();
        NAMES
            .iter()
            .find(|(value, _)| *value == number)
            .map_or("E?", |(_, name)| name)
    }

    /// What it means, in the C library's words: `"No such file or directory"`.
    #[must_use]
    #[inline]
    pub fn description(self) -> &'static str {
        let found = DESCRIPTIONS.iter().find(|(errno, _)| *errno == self);
        found.map_or("Unknown error", |(_, text)| text)
    }

    /// The error with this positive number, when it is between 1 and 4095.
    #[must_use]
    #[inline]
    pub fn from_number(number: u16) -> Option<Self> {
        NonZeroU64::new(u64::from(number))
            .filter(|n| n.get() <= 4095)
            .map(Self)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.number())
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! errnos {
    ($($name:ident)*) => {
        impl Errno {
            $(
                #[doc = concat!("`", stringify!($name), "`.")]
                pub const $name: Self = Self::of(linux_raw_sys::errno::$name);
            )*

            const fn of(number: u32) -> Self {
                assert!(number <= 4095);
                match NonZeroU64::new(number as u64) {
                    Some(number) => Self(number),
                    None => Self(NonZeroU64::MIN),
                }
            }
        }
        const NAMES: &[(u16, &str)] = &[$((Errno::$name.number(), stringify!($name))),*];
    };
}

errnos! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT
    ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG
    ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY
    ELOOP ENOMSG EIDRM ENODATA ETIME EPROTO EBADMSG EOVERFLOW EILSEQ EUSERS ENOTSOCK EDESTADDRREQ
    EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT
    EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET
    ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH
    EALREADY EINPROGRESS ESTALE EUCLEAN EDQUOT ECANCELED EOWNERDEAD ENOTRECOVERABLE ERFKILL
    ENOMEDIUM EMEDIUMTYPE ELIBBAD EBADR
}

/// strerror(3).
const DESCRIPTIONS: &[(Errno, &str)] = &[
    (Errno::EPERM, "Operation not permitted"),
    (Errno::ENOENT, "No such file or directory"),
    (Errno::ESRCH, "No such process"),
    (Errno::EINTR, "Interrupted system call"),
    (Errno::EIO, "Input/output error"),
    (Errno::ENXIO, "No such device or address"),
    (Errno::E2BIG, "Argument list too long"),
    (Errno::ENOEXEC, "Exec format error"),
    (Errno::EBADF, "Bad file descriptor"),
    (Errno::ECHILD, "No child processes"),
    (Errno::EAGAIN, "Resource temporarily unavailable"),
    (Errno::ENOMEM, "Cannot allocate memory"),
    (Errno::EACCES, "Permission denied"),
    (Errno::EFAULT, "Bad address"),
    (Errno::ENOTBLK, "Block device required"),
    (Errno::EBUSY, "Device or resource busy"),
    (Errno::EEXIST, "File exists"),
    (Errno::EXDEV, "Invalid cross-device link"),
    (Errno::ENODEV, "No such device"),
    (Errno::ENOTDIR, "Not a directory"),
    (Errno::EISDIR, "Is a directory"),
    (Errno::EINVAL, "Invalid argument"),
    (Errno::ENFILE, "Too many open files in system"),
    (Errno::EMFILE, "Too many open files"),
    (Errno::ENOTTY, "Inappropriate ioctl for device"),
    (Errno::ETXTBSY, "Text file busy"),
    (Errno::EFBIG, "File too large"),
    (Errno::ENOSPC, "No space left on device"),
    (Errno::ESPIPE, "Illegal seek"),
    (Errno::EROFS, "Read-only file system"),
    (Errno::EMLINK, "Too many links"),
    (Errno::EPIPE, "Broken pipe"),
    (Errno::EDOM, "Numerical argument out of domain"),
    (Errno::ERANGE, "Numerical result out of range"),
    (Errno::EDEADLK, "Resource deadlock avoided"),
    (Errno::ENAMETOOLONG, "File name too long"),
    (Errno::ENOLCK, "No locks available"),
    (Errno::ENOSYS, "Function not implemented"),
    (Errno::ENOTEMPTY, "Directory not empty"),
    (Errno::ELOOP, "Too many levels of symbolic links"),
    (Errno::ENOMSG, "No message of desired type"),
    (Errno::EIDRM, "Identifier removed"),
    (Errno::ENODATA, "No data available"),
    (Errno::ETIME, "Timer expired"),
    (Errno::EBADMSG, "Bad message"),
    (Errno::EOVERFLOW, "Value too large for defined data type"),
    (
        Errno::EILSEQ,
        "Invalid or incomplete multibyte or wide character",
    ),
    (Errno::EUSERS, "Too many users"),
    (Errno::ENOTSOCK, "Socket operation on non-socket"),
    (Errno::EDESTADDRREQ, "Destination address required"),
    (Errno::EMSGSIZE, "Message too long"),
    (Errno::EPROTOTYPE, "Protocol wrong type for socket"),
    (Errno::ENOPROTOOPT, "Protocol not available"),
    (Errno::EPROTONOSUPPORT, "Protocol not supported"),
    (Errno::ESOCKTNOSUPPORT, "Socket type not supported"),
    (Errno::EOPNOTSUPP, "Operation not supported"),
    (Errno::EPFNOSUPPORT, "Protocol family not supported"),
    (
        Errno::EAFNOSUPPORT,
        "Address family not supported by protocol",
    ),
    (Errno::EADDRINUSE, "Address already in use"),
    (Errno::EADDRNOTAVAIL, "Cannot assign requested address"),
    (Errno::ENETDOWN, "Network is down"),
    (Errno::ENETUNREACH, "Network is unreachable"),
    (Errno::ENETRESET, "Network dropped connection on reset"),
    (Errno::ECONNABORTED, "Software caused connection abort"),
    (Errno::ECONNRESET, "Connection reset by peer"),
    (Errno::ENOBUFS, "No buffer space available"),
    (Errno::EISCONN, "Transport endpoint is already connected"),
    (Errno::ENOTCONN, "Transport endpoint is not connected"),
    (
        Errno::ESHUTDOWN,
        "Cannot send after transport endpoint shutdown",
    ),
    (Errno::ETOOMANYREFS, "Too many references: cannot splice"),
    (Errno::ETIMEDOUT, "Connection timed out"),
    (Errno::ECONNREFUSED, "Connection refused"),
    (Errno::EHOSTDOWN, "Host is down"),
    (Errno::EHOSTUNREACH, "No route to host"),
    (Errno::EALREADY, "Operation already in progress"),
    (Errno::EINPROGRESS, "Operation now in progress"),
    (Errno::ESTALE, "Stale file handle"),
    (Errno::EUCLEAN, "Structure needs cleaning"),
    (Errno::EDQUOT, "Disk quota exceeded"),
    (Errno::ECANCELED, "Operation canceled"),
    (Errno::EOWNERDEAD, "Owner died"),
    (Errno::ENOTRECOVERABLE, "State not recoverable"),
    (Errno::ERFKILL, "Operation not possible due to RF-kill"),
    (Errno::ENOMEDIUM, "No medium found"),
    (Errno::EMEDIUMTYPE, "Wrong medium type"),
    (Errno::ELIBBAD, "Accessing a corrupted shared library"),
];

/// Restart codes: never seen by a program. A call that a signal interrupted answers one of them;
/// signal delivery turns it into a restart or into [`Errno::EINTR`] (include/linux/errno.h).
impl Errno {
    /// Restart unless a handler without `SA_RESTART` runs.
    pub const ERESTARTSYS: Self = Self::of(512);
    /// Restart always.
    pub const ERESTARTNOINTR: Self = Self::of(513);
    /// Restart unless a handler runs.
    pub const ERESTARTNOHAND: Self = Self::of(514);
    /// Restart through `restart_syscall` with the rest of the time, unless a handler runs.
    pub const ERESTART_RESTARTBLOCK: Self = Self::of(516);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_the_negated_number() {
        assert_eq!(Errno::ENOENT.to_return(), (-2i64) as u64);
        assert_eq!(Errno::ENOENT.name(), "ENOENT");
    }
}
