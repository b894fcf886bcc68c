//! [`Errno`]: Linux's error numbers, as a system call answers them.
//!
//! Inside a room errors are small enums of the room's own; `Errno` is made at the syscall's edge
//! or where the VFS's contract is stated in Linux's own terms. Values: asm-generic/errno*.h, by
//! way of `linux-raw-sys`.

use core::fmt;
use core::num::NonZeroU16;

/// A Linux error number, 1..=4095.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(NonZeroU16);

impl Errno {
    /// The positive error number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0.get()
    }

    /// What a system call that fails so leaves in RAX: the negated number.
    #[must_use]
    pub const fn to_return(self) -> u64 {
        (-(self.0.get() as i64)).cast_unsigned()
    }

    /// The error's name, `"ENOENT"`, or `"E?"` for one without.
    #[must_use]
    pub fn name(self) -> &'static str {
        let number = self.number();
        NAMES
            .iter()
            .find(|(value, _)| *value == number)
            .map_or("E?", |(_, name)| name)
    }

    /// The error with this positive number, when it is between 1 and 4095.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        NonZeroU16::new(number)
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
                #[expect(clippy::cast_possible_truncation, reason = "asserted above, at build time")]
                match NonZeroU16::new(number as u16) {
                    Some(number) => Self(number),
                    None => Self(NonZeroU16::MIN),
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
    ELOOP ENOMSG EIDRM ENODATA ETIME EBADMSG EOVERFLOW EILSEQ EUSERS ENOTSOCK EDESTADDRREQ
    EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT
    EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET
    ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH
    EALREADY EINPROGRESS ESTALE EUCLEAN EDQUOT ECANCELED EOWNERDEAD ENOTRECOVERABLE ERFKILL
    ENOMEDIUM EMEDIUMTYPE ELIBBAD
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
