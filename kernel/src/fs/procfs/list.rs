//! Listing the directories of `/proc`: first the names a directory always has, then numbers.

use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::fs::dirent::Entry;
use kiln_core::sort;

use super::names::{PID_FILES, PID_LINKS, TOP_LINKS};
use super::tree::{Node, Who, system_child};
use super::{SystemFile, files, ns, processes};
use crate::fs::inode::Emit;

/// Cursors of `/proc` itself: first what is always there, then processes.
const FIRST_PROCESS: u64 = 1 << 16;

/// Calls `each` with the names a directory always has and what they are.
fn fixed_names(node: &Node, mut each: impl FnMut(&str, Node) -> bool) {
    let mut system = |prefix: &'static str| {
        let files = match copy_files() {
            Ok(files) => files,
            Err(_) => return,
        };
        let mut last: Option<&str> = None;
        for file in &files {
            let Some(rest) = file.path.strip_prefix(prefix) else {
                continue;
            };
            let name = rest.split('/').next().unwrap_or(rest);
            if last == Some(name) {
                continue;
            }
            last = Some(name);
            let is_link = prefix.is_empty() && TOP_LINKS.contains(&name);
            if !is_link
                && let Some(node) = system_child(prefix, name)
                && !each(name, node)
            {
                return;
            }
        }
    };
    match node {
        Node::Root => {
            system("");
            for link in TOP_LINKS {
                if !each(link, Node::TopLink(link)) {
                    return;
                }
            }
        }
        Node::Directory(prefix) => system(prefix),
        Node::Process(who) => {
            let others = ["children", "fd", "fdinfo", "net", "ns", "task"].into_iter();
            let files = PID_FILES.iter().map(|(name, ..)| *name);
            let links = PID_LINKS.iter().map(|(name, _)| *name);
            for name in others.chain(files).chain(links) {
                if let Some(node) = who.child(name)
                    && !each(name, node)
                {
                    return;
                }
            }
        }
        Node::Namespaces(who) => {
            for (index, kind) in ns::KINDS.iter().enumerate() {
                if !each(kind.0, Node::Namespace(*who, index)) {
                    return;
                }
            }
        }
        _ => {}
    }
}

/// The system files, sorted by path.
fn copy_files() -> Result<Vec<SystemFile>, Errno> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(files().count())
        .map_err(|_| Errno::ENOMEM)?;
    copy.extend(files());
    sort::by_key(&mut copy, |file: &SystemFile| file.path);
    Ok(copy)
}

/// Lists names that are numbers: `next` answers the first from a number on.
fn list_numbers(
    from: u32,
    base: u64,
    emit: &mut Emit<'_>,
    next: impl Fn(u32) -> Option<u32>,
    node: impl Fn(u32) -> Node,
) {
    let mut at = from;
    while let Some(found) = next(at) {
        let node = node(found);
        let mut digits = Digits::default();
        let entry = Entry {
            ino: node.ino(),
            kind: node.kind().dirent(),
            name: digits.of(found),
        };
        at = found.saturating_add(1);
        if !emit(&entry, base + u64::from(at)) {
            return;
        }
    }
}

/// A number's decimal digits.
#[derive(Default)]
struct Digits([u8; 10]);

impl Digits {
    fn of(&mut self, mut number: u32) -> &[u8] {
        let mut start = self.0.len();
        for (at, digit) in self.0.iter_mut().enumerate().rev() {
            *digit = b'0' + kiln_core::num::low8(u64::from(number % 10));
            number /= 10;
            start = at;
            if number == 0 {
                break;
            }
        }
        self.0.get(start..).unwrap_or(&[])
    }
}

/// Lists `dir` from `cursor` on.
pub(super) fn list(dir: &Node, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
    if let Some(who) = dir.who() {
        processes()?.owner(who.pid).map_err(|_| Errno::ENOENT)?;
    }
    let mut at = 2;
    let mut stopped = false;
    fixed_names(dir, |name, node| {
        let entry = Entry {
            ino: node.ino(),
            kind: node.kind().dirent(),
            name: name.as_bytes(),
        };
        stopped = at >= cursor && !emit(&entry, at + 1);
        at += 1;
        !stopped
    });
    if stopped {
        return Ok(());
    }
    let from = |base: u64| u32::try_from(cursor.saturating_sub(base)).unwrap_or(u32::MAX);
    match dir {
        Node::Root => {
            let all = processes()?;
            let node = |pid| {
                Node::Process(Who {
                    pid,
                    tid: pid,
                    thread: false,
                })
            };
            let next = |pid| all.next_process(pid);
            list_numbers(from(FIRST_PROCESS), FIRST_PROCESS, emit, next, node);
        }
        Node::Tasks(pid) => {
            let all = processes()?;
            let node = |tid| {
                Node::Process(Who {
                    pid: *pid,
                    tid,
                    thread: true,
                })
            };
            list_numbers(from(2), 2, emit, |tid| all.next_thread(*pid, tid), node);
        }
        Node::Fds(who, info) => {
            // What has ended has nothing open.
            let Ok(files) = who.check()?.files(who.pid, who.tid) else {
                return Ok(());
            };
            let next = |fd: u32| {
                let (fd, _) = files.next_open(kiln_core::num::usize_of32(fd))?;
                u32::try_from(fd).ok()
            };
            let node = |fd: u32| {
                let fd = fd.cast_signed();
                if *info {
                    Node::FdInfo(*who, fd)
                } else {
                    Node::Fd(*who, fd)
                }
            };
            list_numbers(from(2), 2, emit, next, node);
        }
        _ => {}
    }
    Ok(())
}
