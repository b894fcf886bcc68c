//! What the files of `/proc` say and take: a [`Node`] as a source of text. What it can't write by itself, `system` and
//! the rooms above write.

use kiln_core::errno::Errno;

use super::names::PidFile;
use super::tree::Node;
use super::{Content, DOMAIN_NAME, HOST_NAME, Text, processes, set_number, show_number, system};
use crate::fs::mount;
use crate::fs::text::{Changes, TextSource};

impl TextSource for Node {
    fn write_text(&self, out: &mut Text) -> Result<(), Errno> {
        let all = processes();
        match self {
            Self::System(file) => match file.text {
                Content::Fixed(text) => out.bytes(text.as_bytes()),
                Content::Told(write) => write(out),
                Content::Number(number, _) => show_number(number, out),
            },
            Self::File(who, PidFile::MountInfo, _) => {
                system::mount_info(&*all?.context(who.pid, who.tid)?, out)
            }
            Self::File(who, PidFile::Mounts, _) => {
                system::mounts(&*all?.context(who.pid, who.tid)?, out)
            }
            Self::File(who, PidFile::MountStats, _) => {
                system::mount_stats(&*all?.context(who.pid, who.tid)?, out)
            }
            Self::File(who, PidFile::Cpuset, _) => {
                all?.owner(who.pid)?;
                out.bytes(b"/\n")
            }
            // Those outlive the process, as its user namespace does.
            Self::File(_, PidFile::IdMap, _) => out.bytes(b"         0          0 4294967295\n"),
            Self::File(_, PidFile::SetGroups, _) => out.bytes(b"allow\n"),
            Self::File(who, file, _) => all?.text(who.pid, who.tid, *file, out),
            Self::FdInfo(who, fd) => {
                let files = all?.files(who.pid, who.tid)?;
                system::fd_info(&files, *fd, out)
            }
            _ => Err(Errno::EISDIR),
        }
    }

    fn changes(&self) -> Option<&Changes> {
        match self {
            Self::File(_, PidFile::MountInfo | PidFile::Mounts | PidFile::MountStats, _) => {
                Some(&mount::CHANGES)
            }
            Self::System(file) => match file.path {
                "sys/kernel/hostname" => Some(&HOST_NAME),
                "sys/kernel/domainname" => Some(&DOMAIN_NAME),
                _ => None,
            },
            _ => None,
        }
    }

    fn told_by_poll(&self) -> bool {
        true
    }

    fn set(&self, value: &[u8]) -> Result<(), Errno> {
        match self {
            Self::System(file) => match (file.text, file.write) {
                (_, None) if !file.takes() => Err(Errno::EIO),
                _ if value.is_empty() => Ok(()),
                (Content::Number(number, (least, most)), _) => {
                    set_number(number, value, *least, *most)
                }
                (_, write) => write.map_or(Ok(()), |write| write(value)),
            },
            Self::File(who, file, _) => processes()?.set(who.pid, who.tid, *file, value),
            _ => Err(Errno::EINVAL),
        }
    }
}
