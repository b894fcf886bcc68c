//! The files of a control group: what each tells and takes (Documentation/admin-guide/cgroup-v2.rst).

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::cgroup::{self as text, CONTROLLERS, MAX, PIDS};
use kiln_core::errno::Errno;
use kiln_core::num::{low32, u64_of};
use kiln_core::sort;

use super::freeze::{IS_FROZEN, POPULATED};
use super::members::attach;
use super::{Cgroup, TREE};
use crate::fs::memory::try_push;
use crate::fs::procfs::{SystemFile, Text};
use crate::fs::text::Changes;
use crate::process::{Process, current, table, usage};

/// A file of a control group.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    Controllers,
    CpuStat,
    Events,
    Freeze,
    Kill,
    MaxDepth,
    MaxDescendants,
    PidsCurrent,
    PidsEvents,
    PidsMax,
    PidsPeak,
    Procs,
    Stat,
    SubtreeControl,
    Threads,
    Type,
}

/// Which groups have a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Everywhere,
    /// Not the root.
    Below,
    /// Those that have the controller `pids`.
    Pids,
}

/// A file's name, permissions and place.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) mode: u32,
    pub(super) file: File,
    place: Where,
}

const fn known(name: &'static str, mode: u32, file: File, place: Where) -> Known {
    Known {
        name,
        mode,
        file,
        place,
    }
}

use Where::{Below, Everywhere, Pids};

static FILES: [Known; 16] = [
    known("cgroup.controllers", 0o444, File::Controllers, Everywhere),
    known("cgroup.events", 0o444, File::Events, Below),
    known("cgroup.freeze", 0o644, File::Freeze, Below),
    known("cgroup.kill", 0o200, File::Kill, Below),
    known("cgroup.max.depth", 0o644, File::MaxDepth, Everywhere),
    known(
        "cgroup.max.descendants",
        0o644,
        File::MaxDescendants,
        Everywhere,
    ),
    known("cgroup.procs", 0o644, File::Procs, Everywhere),
    known("cgroup.stat", 0o444, File::Stat, Everywhere),
    known(
        "cgroup.subtree_control",
        0o644,
        File::SubtreeControl,
        Everywhere,
    ),
    known("cgroup.threads", 0o644, File::Threads, Everywhere),
    known("cgroup.type", 0o644, File::Type, Below),
    known("cpu.stat", 0o444, File::CpuStat, Everywhere),
    known("pids.current", 0o444, File::PidsCurrent, Pids),
    known("pids.events", 0o444, File::PidsEvents, Pids),
    known("pids.max", 0o644, File::PidsMax, Pids),
    known("pids.peak", 0o444, File::PidsPeak, Pids),
];

/// `/proc/cgroups`.
pub(in crate::process) static SYSTEM_FILES: &[SystemFile] =
    &[SystemFile::readable("cgroups", controllers)];

/// The controllers, which belong to no hierarchy of version 1, and how many groups there are.
fn controllers(out: &mut Text) -> Result<(), Errno> {
    let below = Cgroup::root().map_or(0, |root| root.group.descendants.load(Ordering::Relaxed));
    out.bytes(b"#subsys_name\thierarchy\tnum_cgroups\tenabled\n")?;
    for (name, _) in CONTROLLERS {
        out.put(format_args!("{name}\t0\t{}\t1\n", below + 1))?;
    }
    Ok(())
}

/// Most processes there can be (`PIDS_MAX`: one more than `PID_MAX_LIMIT`), beyond which no number is a limit.
const PIDS_MOST: u64 = 4 << 20;
/// Most that the limits of a tree's shape can be (`INT_MAX`).
const SHAPE_MOST: u64 = 0x7FFF_FFFF;

impl Cgroup {
    /// The files it has.
    pub(super) fn files(&self) -> impl Iterator<Item = &'static Known> {
        let (root, pids) = (self.is_root(), self.controllers() & PIDS != 0);
        FILES.iter().filter(move |known| match known.place {
            Everywhere => true,
            Below => !root,
            Pids => !root && pids,
        })
    }

    /// Where changes of a file are told, for those that can be waited for.
    pub(super) fn changes_of(&self, file: File) -> Option<&Changes> {
        match file {
            File::Events => Some(&self.changes),
            File::PidsEvents => Some(&self.pids.changes),
            _ => None,
        }
    }

    /// Writes a file's text.
    pub(super) fn tell(self: &Arc<Self>, file: File, out: &mut Text) -> Result<(), Errno> {
        match file {
            File::Controllers => names(self.controllers(), out),
            File::SubtreeControl => names(self.controls.load(Ordering::Relaxed), out),
            File::CpuStat => self.tell_times(out),
            File::Events => {
                let events = self.events();
                let bit = |bit| u8::from(events & bit != 0);
                let (populated, frozen) = (bit(POPULATED), bit(IS_FROZEN));
                out.put(format_args!("populated {populated}\nfrozen {frozen}\n"))
            }
            File::Freeze => number(out, "", u64::from(self.freeze.load(Ordering::Relaxed))),
            File::MaxDepth => number(out, "", self.max_depth.load(Ordering::Relaxed)),
            File::MaxDescendants => number(out, "", self.max_descendants.load(Ordering::Relaxed)),
            File::PidsCurrent => number(out, "", u64_of(self.tasks.load(Ordering::Relaxed))),
            File::PidsEvents => number(out, "max ", self.pids.refused.load(Ordering::Relaxed)),
            File::PidsMax => number(out, "", self.pids.max.load(Ordering::Relaxed)),
            File::PidsPeak => number(out, "", self.pids.peak.load(Ordering::Relaxed)),
            File::Procs | File::Threads => self.tell_members(file == File::Threads, out),
            File::Stat => {
                let below = self.descendants.load(Ordering::Relaxed);
                number(out, "nr_descendants ", below)?;
                out.bytes(b"nr_dying_descendants 0\n")
            }
            File::Type => out.bytes(b"domain\n"),
            File::Kill => Err(Errno::EINVAL),
        }
    }

    /// Numbers of its processes, or of their threads, ascending.
    fn tell_members(&self, threads: bool, out: &mut Text) -> Result<(), Errno> {
        let mut numbers = alloc::vec::Vec::new();
        for process in self.processes(false)? {
            if threads {
                for task in process.tasks()? {
                    try_push(&mut numbers, task.tid())?;
                }
            } else {
                try_push(&mut numbers, process.pid())?;
            }
        }
        sort::by_key(&mut numbers, |number| *number);
        numbers
            .iter()
            .try_for_each(|number| out.put(format_args!("{number}\n")))
    }

    /// Times of all that are or were in it and below it.
    fn tell_times(&self, out: &mut Text) -> Result<(), Errno> {
        let mut times = self
            .times
            .each_ref()
            .map(|time| time.load(Ordering::Relaxed));
        if self.is_root() {
            let ended = usage::totals();
            times = [ended.user_ns, ended.system_ns];
        }
        for process in self.processes(true)? {
            for task in process.tasks()? {
                let used = usage::of_task(&task);
                times[0] = times[0].wrapping_add(used.user_ns);
                times[1] = times[1].wrapping_add(used.system_ns);
            }
        }
        let [user, system] = times.map(|ns| ns / 1000);
        let all = user + system;
        out.put(format_args!(
            "usage_usec {all}\nuser_usec {user}\nsystem_usec {system}\n"
        ))
    }

    /// Takes what is written to a file.
    pub(super) fn set(self: &Arc<Self>, file: File, value: &[u8]) -> Result<(), Errno> {
        if self.is_removed() {
            return Err(Errno::ENODEV);
        }
        match file {
            File::Procs => attach(&process_named(value)?, self),
            File::Threads => self.attach_thread(value),
            File::SubtreeControl => {
                let change = text::controls(value)?;
                self.control(change.enable, change.disable)
            }
            File::Freeze => self.set_freeze(text::switch(value)?),
            File::Kill => match text::switch(value)? {
                true => self.kill(),
                false => Err(Errno::ERANGE),
            },
            File::MaxDepth => store(&self.max_depth, value, SHAPE_MOST),
            File::MaxDescendants => store(&self.max_descendants, value, SHAPE_MOST),
            File::PidsMax => match text::limit(value, PIDS_MOST) {
                Err(Errno::ERANGE) => Err(Errno::EINVAL),
                max => max.map(|max| self.pids.max.store(max, Ordering::Relaxed)),
            },
            // A group whose threads were in others' would compete with its own kind: there are none here.
            File::Type if text::strip(value) == b"threaded" => Err(Errno::EOPNOTSUPP),
            _ => Err(Errno::EINVAL),
        }
    }

    /// A thread goes only where its process is: without threaded groups that is no way at all.
    fn attach_thread(self: &Arc<Self>, value: &[u8]) -> Result<(), Errno> {
        let process = process_named(value)?;
        let _tree = TREE.lock();
        let own = process.group.lock().cgroup.clone();
        let same = match &own {
            Some(own) => Arc::ptr_eq(own, self),
            None => self.is_root(),
        };
        if same { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
    }
}

/// A line with a number, or with no limit.
fn number(out: &mut Text, before: &str, value: u64) -> Result<(), Errno> {
    match value {
        MAX => out.bytes(b"max\n"),
        value => out.put(format_args!("{before}{value}\n")),
    }
}

fn store(to: &AtomicU64, value: &[u8], most: u64) -> Result<(), Errno> {
    to.store(text::limit(value, most)?, Ordering::Relaxed);
    Ok(())
}

/// The process of a number that was written; 0 is the writer.
fn process_named(value: &[u8]) -> Result<Arc<Process>, Errno> {
    let number = text::number(value, SHAPE_MOST).map_err(|_| Errno::EINVAL)?;
    let process = if number == 0 {
        Arc::clone(current().ok_or(Errno::ESRCH)?.process())
    } else {
        table::process_of(low32(number)).ok_or(Errno::ESRCH)?
    };
    if process.is_init() {
        return Err(Errno::EINVAL);
    }
    Ok(process)
}

/// Names of controllers, if there are any.
fn names(bits: u32, out: &mut Text) -> Result<(), Errno> {
    let mut first = true;
    for (name, _) in CONTROLLERS.iter().filter(|known| bits & known.1 != 0) {
        let space = if first { "" } else { " " };
        out.put(format_args!("{space}{name}"))?;
        first = false;
    }
    if first { Ok(()) } else { out.bytes(b"\n") }
}
