//! What `/proc` shows (proc(5)): the root directory here, a process's directory in [`pid`], its
//! descriptors in [`fd`], the system's files in [`system`].

mod fd;
mod pid;
mod system;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::num::usize_of;

use super::{current, table};
use crate::fs::procfs::{self, EmitName, Fixed, Node, ProcDir, ProcLink};
use pid::ProcessDir;

/// Makes `proc` known to `mount`.
pub(crate) fn register() -> Result<(), Errno> {
    procfs::set_root(Arc::new(Root))
}

struct Root;

/// The fixed part of the root directory.
static SYSTEM: Fixed = Fixed(&[
    ("self", || Node::link(SelfLink)),
    ("thread-self", || Node::link(ThreadSelfLink)),
    ("cmdline", || Node::file(system::Cmdline)),
    ("cpuinfo", || Node::file(system::CpuInfo)),
    ("devices", || Node::file(system::Devices)),
    ("filesystems", || Node::file(system::FileSystems)),
    ("loadavg", || Node::file(system::LoadAvg)),
    ("meminfo", || Node::file(system::MemInfo)),
    ("mounts", || Node::link(MountsLink)),
    ("partitions", || Node::file(system::Partitions)),
    ("stat", || Node::file(system::Stat)),
    ("swaps", || Node::file(system::Swaps)),
    ("sys", || Node::dir(Fixed(system::SYS))),
    ("uptime", || Node::file(system::Uptime)),
    ("version", || Node::file(system::Version)),
    ("vmstat", || Node::file(system::VmStat)),
]);

/// Cursors from here on are process numbers.
const FIRST_PID_CURSOR: u64 = 1000;

impl ProcDir for Root {
    fn lookup(&self, name: &[u8]) -> Result<Option<Node>, Errno> {
        if let Some(node) = SYSTEM.lookup(name)? {
            return Ok(Some(node));
        }
        // A thread's number is found, too, though only processes are listed.
        let Some(process) = number(name).and_then(table::process_of) else { return Ok(None) };
        Node::dir(ProcessDir::new(process)).map(Some)
    }

    fn list(&self, cursor: u64, emit: &mut EmitName<'_>) -> Result<(), Errno> {
        let fixed = u64::try_from(SYSTEM.0.len()).unwrap_or(0);
        let mut more = true;
        if cursor < fixed {
            SYSTEM.list(cursor, &mut |name, kind, next| {
                more = emit(name, kind, if next == fixed { FIRST_PID_CURSOR } else { next });
                more
            })?;
        }
        let first = cursor.saturating_sub(FIRST_PID_CURSOR);
        let mut pids = table::pids()?;
        pids.sort_unstable();
        for pid in pids.into_iter().filter(|pid| u64::from(*pid) >= first) {
            let next = FIRST_PID_CURSOR + u64::from(pid) + 1;
            if !more || !emit(format!("{pid}").as_bytes(), FileType::Directory, next) {
                break;
            }
        }
        Ok(())
    }
}

/// A name that is a number without a leading zero.
fn number(name: &[u8]) -> Option<u32> {
    let digits = name.iter().all(u8::is_ascii_digit) && name.first() != Some(&b'0');
    core::str::from_utf8(name).ok().filter(|_| digits)?.parse().ok()
}

struct SelfLink;

impl ProcLink for SelfLink {
    fn target(&self) -> Result<Vec<u8>, Errno> {
        let task = current().ok_or(Errno::ENOENT)?;
        Ok(format!("{}", task.pid()).into_bytes())
    }
}

struct ThreadSelfLink;

impl ProcLink for ThreadSelfLink {
    fn target(&self) -> Result<Vec<u8>, Errno> {
        let task = current().ok_or(Errno::ENOENT)?;
        Ok(format!("{}/task/{}", task.pid(), task.tid()).into_bytes())
    }
}

struct MountsLink;

impl ProcLink for MountsLink {
    fn target(&self) -> Result<Vec<u8>, Errno> {
        Ok(b"self/mounts".to_vec())
    }
}

/// The children of a list of numbers, for directories that hold nothing else.
fn list_numbers(
    mut numbers: Vec<u32>,
    kind: FileType,
    cursor: u64,
    emit: &mut EmitName<'_>,
) -> Result<(), Errno> {
    numbers.sort_unstable();
    let first = u32::try_from(usize_of(cursor)).unwrap_or(u32::MAX);
    for number in numbers.into_iter().filter(|number| *number >= first) {
        if !emit(format!("{number}").as_bytes(), kind, u64::from(number) + 1) {
            break;
        }
    }
    Ok(())
}
