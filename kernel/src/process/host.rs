//! What uname(2) tells: the machine's names.

use alloc::vec::Vec;

use kiln_core::errno::Errno;

use crate::fs::procfs::{DOMAIN_NAME, HOST_NAME};
use crate::sync::SpinLock;

/// Longest name (`__NEW_UTS_LEN`, linux/utsname.h).
pub(crate) const NAME_MAX: usize = 64;
/// Bytes of a field of `struct utsname`.
pub(crate) const FIELD: usize = NAME_MAX + 1;
/// The system's name.
pub(crate) const SYSTEM: &str = "Linux";
/// The version of Linux whose behaviour programs may expect, and who stands in for it.
pub(crate) const RELEASE: &str = "6.1.0-kiln";
/// The build.
pub(crate) const VERSION: &str = "#1 SMP Kiln";
/// The architecture.
pub(crate) const MACHINE: &str = "x86_64";

/// Host and domain name.
static NAMES: SpinLock<Names> = SpinLock::new(Names {
    host: Name::new(b"kiln"),
    domain: Name::new(b"(none)"),
});

struct Names {
    host: Name,
    domain: Name,
}

#[derive(Clone, Copy)]
struct Name {
    bytes: [u8; NAME_MAX],
    len: usize,
}

impl Name {
    const fn new(name: &[u8]) -> Self {
        let mut bytes = [0; NAME_MAX];
        let len = if name.len() < NAME_MAX {
            name.len()
        } else {
            NAME_MAX
        };
        let (to, _) = bytes.split_at_mut(len);
        let (from, _) = name.split_at(len);
        to.copy_from_slice(from);
        Self { bytes, len }
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Sets the host name.
///
/// # Errors
/// `EINVAL` when it is too long.
pub(crate) fn set_host_name(name: &[u8]) -> Result<(), Errno> {
    if name.len() > NAME_MAX {
        return Err(Errno::EINVAL);
    }
    NAMES.lock().host = Name::new(name);
    HOST_NAME.note();
    Ok(())
}

/// Sets the domain name.
///
/// # Errors
/// `EINVAL` when it is too long.
pub(crate) fn set_domain_name(name: &[u8]) -> Result<(), Errno> {
    if name.len() > NAME_MAX {
        return Err(Errno::EINVAL);
    }
    NAMES.lock().domain = Name::new(name);
    DOMAIN_NAME.note();
    Ok(())
}

/// The host name.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn host_name() -> Result<Vec<u8>, Errno> {
    let name = NAMES.lock().host;
    crate::fs::memory::try_copy(name.get())
}

/// The domain name.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn domain_name() -> Result<Vec<u8>, Errno> {
    let name = NAMES.lock().domain;
    crate::fs::memory::try_copy(name.get())
}

/// `UNAME26`, and `PER_LINUX32` below `PER_MASK` (linux/personality.h).
const UNAME26: u32 = 0x2_0000;
const PER_LINUX32: u32 = 8;
const PER_MASK: u32 = 0xff;
/// What stands for [`RELEASE`] to programs that know only numbers that begin with 2: the third number is 60
/// and the second one.
const OLD_RELEASE: &str = "2.6.61-kiln";

/// `struct utsname`, as a program of this personality sees it.
pub(crate) fn encode(personality: u32) -> [u8; 6 * FIELD] {
    let (host, domain) = {
        let names = NAMES.lock();
        (names.host, names.domain)
    };
    let old = personality & UNAME26 != 0;
    let release = if old { OLD_RELEASE } else { RELEASE };
    let short = personality & PER_MASK == PER_LINUX32;
    let machine = if short { "i686" } else { MACHINE };
    let fields = [
        SYSTEM.as_bytes(),
        host.get(),
        release.as_bytes(),
        VERSION.as_bytes(),
        machine.as_bytes(),
        domain.get(),
    ];
    let mut bytes = [0; 6 * FIELD];
    for (to, from) in bytes.chunks_exact_mut(FIELD).zip(fields) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
    bytes
}
