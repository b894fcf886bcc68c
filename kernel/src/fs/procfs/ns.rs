//! `/proc/PID/ns`: the namespaces of a process, as links to files that stand for them. There is one of each
//! kind, the first, and every process is in it.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::Write;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType};
use kiln_core::fs::flags::OpenFlags;

use crate::fs::anon::Anonymous;
use crate::fs::clock;
use crate::fs::file::{File, FileOps, Ioctl};
use crate::fs::inode::{Inode, InodeOps};
use crate::fs::memory::try_arc;
use crate::fs::mount::Path;

/// linux/magic.h.
const NSFS_MAGIC: u32 = 0x6E73_6673;

/// Where the files live.
static NAMESPACES: Anonymous = Anonymous::new("nsfs", NSFS_MAGIC);

/// A kind of namespace: the link's name, the kind's, what clone(2) calls it, and its number (linux/proc_ns.h; of
/// `mnt` and `net` those that they get first).
pub(super) struct Kind(pub(super) &'static str, &'static str, u32, u32);

/// The kinds.
pub(super) static KINDS: [Kind; 10] = [
    Kind("cgroup", "cgroup", abi::CLONE_NEWCGROUP, 0xEFFF_FFFB),
    Kind("ipc", "ipc", abi::CLONE_NEWIPC, 0xEFFF_FFFF),
    Kind("mnt", "mnt", abi::CLONE_NEWNS, 0xF000_0001),
    Kind("net", "net", abi::CLONE_NEWNET, 0xF000_0000),
    Kind("pid", "pid", abi::CLONE_NEWPID, 0xEFFF_FFFC),
    Kind("pid_for_children", "pid", abi::CLONE_NEWPID, 0xEFFF_FFFC),
    Kind("time", "time", abi::CLONE_NEWTIME, 0xEFFF_FFFA),
    Kind("time_for_children", "time", abi::CLONE_NEWTIME, 0xEFFF_FFFA),
    Kind("user", "user", abi::CLONE_NEWUSER, 0xEFFF_FFFD),
    Kind("uts", "uts", abi::CLONE_NEWUTS, 0xEFFF_FFFE),
];

/// The file that stands for a namespace, by what clone(2) calls its kind.
struct Namespace(u32);

impl InodeOps for Namespace {
    fn open(&self, _: &Arc<Inode>, _: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        Ok(try_arc(Self(self.0))?)
    }
}

impl FileOps for Namespace {
    fn can_poll(&self) -> bool {
        false
    }

    fn ioctl(&self, _: &File, ioctl: &Ioctl<'_>) -> Result<u64, Errno> {
        /// linux/nsfs.h: `_IO(0xb7, N)`.
        const NS_GET_USERNS: u32 = 0xB701;
        const NS_GET_PARENT: u32 = 0xB702;
        const NS_GET_NSTYPE: u32 = 0xB703;
        const NS_GET_OWNER_UID: u32 = 0xB704;
        let nests = self.0 & (abi::CLONE_NEWUSER | abi::CLONE_NEWPID) != 0;
        match ioctl.command {
            NS_GET_NSTYPE => Ok(self.0.into()),
            NS_GET_PARENT if !nests => Err(Errno::EINVAL),
            // What is above the first is beyond everybody's.
            NS_GET_USERNS | NS_GET_PARENT => Err(Errno::EPERM),
            NS_GET_OWNER_UID if self.0 != abi::CLONE_NEWUSER => Err(Errno::EINVAL),
            NS_GET_OWNER_UID => {
                ioctl.space.write_val(UserAddr::new(ioctl.arg), &0u32)?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }
}

/// Whether a process that has ended still has the namespace.
pub(super) fn outlives(kind: usize) -> bool {
    let name = KINDS.get(kind).map(|kind| kind.0);
    matches!(name, Some("pid" | "user"))
}

/// Where a link of that kind leads.
pub(super) fn path(kind: &Kind) -> Result<Path, Errno> {
    let Kind(_, name, flag, ino) = kind;
    let mut attr = Attr::new(FileType::Regular, 0o444, 0, 0, clock::now());
    attr.nlink = 1;
    let inode = NAMESPACES.numbered((*ino).into(), attr, try_arc(Namespace(*flag))?)?;
    let mut shown = String::new();
    write!(shown, "{name}:[{ino}]").map_err(|_| Errno::ENOMEM)?;
    NAMESPACES.path(inode, shown.as_bytes())
}

/// What clone(2) calls the kind of namespace that an open file stands for.
pub(crate) fn kind_of(inode: &Inode) -> Option<u32> {
    let kind = |kind: &&Kind| u64::from(kind.3) == inode.ino();
    let kind = KINDS.iter().find(kind).filter(|_| NAMESPACES.has(inode));
    kind.map(|Kind(_, _, flag, _)| *flag)
}
