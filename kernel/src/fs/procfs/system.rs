//! The files of `/proc` that this room can write by itself: memory, mounts, file systems, and what
//! never changes.

use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};
use kiln_core::vma;

use super::{Content, INT_MAX, SystemFile, Text, number, number_file, number_within, show_number};
use crate::fs::context::{FsContext, PROTECTED_HARDLINKS, PROTECTED_SYMLINKS};
use crate::fs::fdtable::{FdTable, NR_OPEN};
use crate::fs::mount::{INVISIBLE, MAX_MOUNTS, Mount, MountFlags, Path};
use crate::fs::{aio, inotify, lease, locks, pipe, superblock};
use crate::mm::{frame, heap, stack};
use crate::vm::{OVERCOMMIT, OVERCOMMIT_RATIO, commit_limit, committed, reclaim, writeback};

/// The files.
pub(super) const FILES: &[SystemFile] = &[
    SystemFile::readable("devices", devices),
    SystemFile::readable("filesystems", filesystems),
    SystemFile::readable("locks", locks::write_all),
    SystemFile::readable("meminfo", meminfo),
    SystemFile::fixed(
        "swaps",
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
    ),
    number_file!("sys/fs/aio-max-nr", aio::MAX_REQUESTS),
    SystemFile::readable("sys/fs/aio-nr", |out| {
        out.put(format_args!("{}\n", aio::in_use()))
    }),
    SystemFile::fixed("sys/fs/file-max", "9223372036854775807\n"),
    SystemFile::fixed("sys/fs/dir-notify-enable", "1\n"),
    number_file!("sys/fs/lease-break-time", lease::BREAK_TIME),
    SystemFile::fixed("sys/fs/leases-enable", "1\n"),
    number_file!("sys/fs/inotify/max_queued_events", inotify::MAX_QUEUED),
    number_file!("sys/fs/inotify/max_user_instances", inotify::MAX_INSTANCES),
    number_file!("sys/fs/inotify/max_user_watches", inotify::MAX_WATCHES),
    number_file!("sys/fs/mount-max", MAX_MOUNTS, 1, INT_MAX),
    SystemFile::readable("sys/fs/nr_open", |out| out.put(format_args!("{NR_OPEN}\n"))),
    SystemFile {
        path: "sys/fs/pipe-max-size",
        mode: 0o644,
        text: Content::Told(|out| show_number(&pipe::MAX_SIZE, out)),
        write: Some(|text| pipe::set_max_size(number(text)?)),
    },
    number_file!("sys/fs/pipe-user-pages-hard", pipe::MOST_PAGES),
    number_file!("sys/fs/pipe-user-pages-soft", pipe::MANY_PAGES),
    number_file!("sys/fs/protected_hardlinks", PROTECTED_HARDLINKS, 0, 1),
    number_file!("sys/fs/protected_symlinks", PROTECTED_SYMLINKS, 0, 1),
    SystemFile::fixed("sys/kernel/random/entropy_avail", "256\n"),
    SystemFile::fixed("sys/kernel/random/poolsize", "256\n"),
    SystemFile::fixed("sys/fs/suid_dumpable", "0\n"),
    SystemFile::fixed("sys/vm/swappiness", "60\n"),
    SystemFile {
        path: "sys/vm/drop_caches",
        mode: 0o200,
        text: Content::Told(|out| out.bytes(b"0\n")),
        write: Some(drop_caches),
    },
    number_file!("sys/vm/overcommit_memory", OVERCOMMIT, 0, 2),
    number_file!("sys/vm/overcommit_ratio", OVERCOMMIT_RATIO, 0, INT_MAX),
    SystemFile::fixed("sys/vm/panic_on_oom", "0\n"),
    SystemFile {
        path: "sys/vm/min_free_kbytes",
        mode: 0o644,
        text: Content::Told(|out| out.put(format_args!("{}\n", kib(frame::kept())))),
        write: Some(set_kept),
    },
    SystemFile {
        path: "sys/vm/max_map_count",
        mode: 0o644,
        text: Content::Told(|out| out.put(format_args!("{}\n", vma::most_areas()))),
        write: Some(set_most_areas),
    },
];

fn set_most_areas(value: &[u8]) -> Result<(), Errno> {
    vma::set_most_areas(usize_of(number_within(value, 0, INT_MAX)?));
    Ok(())
}

fn set_kept(value: &[u8]) -> Result<(), Errno> {
    let kib = usize_of(number_within(value, 0, INT_MAX)?);
    frame::keep(kib / (PAGE_SIZE / 1024));
    Ok(())
}

/// 1: clean pages of files, 2: names and inodes, 3: both; 4 is only heard.
fn drop_caches(value: &[u8]) -> Result<(), Errno> {
    match value.trim_ascii() {
        [digit @ b'1'..=b'4'] => {
            reclaim::drop_caches(digit & 1 != 0, digit & 2 != 0);
            Ok(())
        }
        _ => Err(Errno::EINVAL),
    }
}

fn kib(pages: usize) -> u64 {
    u64_of(pages * (PAGE_SIZE / 1024))
}

/// Pages of programs' own memory: what nothing else has taken. Their page tables are among them.
fn anonymous(memory: &frame::MemoryStats) -> usize {
    let (cached, kept) = reclaim::cached_pages();
    let others = memory.free + cached + kept + heap::held_frames() + stack::pages();
    memory.total.saturating_sub(others)
}

fn meminfo(out: &mut Text) -> Result<(), Errno> {
    let memory = frame::stats();
    let (cached, kept) = reclaim::cached_pages();
    let dirty = writeback::dirty_pages();
    let anonymous = kib(anonymous(&memory));
    let slab = kib(heap::held_frames());
    let rows = [
        ("MemTotal", kib(memory.total)),
        ("MemFree", kib(memory.free)),
        (
            "MemAvailable",
            kib(memory.free + cached.saturating_sub(dirty)),
        ),
        ("Buffers", 0),
        ("Cached", kib(cached + kept)),
        ("SwapCached", 0),
        // Nothing is told apart by when it was last used: what can't be given up counts as active.
        ("Active", anonymous + kib(kept)),
        ("Inactive", kib(cached)),
        ("Active(anon)", anonymous + kib(kept)),
        ("Inactive(anon)", 0),
        ("Active(file)", 0),
        ("Inactive(file)", kib(cached)),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", kib(dirty)),
        ("Writeback", 0),
        ("AnonPages", anonymous),
        ("Mapped", 0),
        ("Shmem", kib(kept)),
        ("Slab", slab),
        ("SReclaimable", 0),
        ("SUnreclaim", slab),
        ("KernelStack", kib(stack::pages())),
        ("CommitLimit", kib(usize_of(commit_limit()))),
        ("Committed_AS", kib(usize_of(committed()))),
        ("VmallocTotal", VMALLOC_KIB),
        ("VmallocUsed", kib(stack::pages())),
        ("VmallocChunk", 0),
        ("HugePages_Total", 0),
        ("HugePages_Free", 0),
        ("Hugepagesize", 2048),
    ];
    rows.iter().try_for_each(|(name, value)| {
        let unit = if name.starts_with("HugeP") { "" } else { " kB" };
        out.put(format_args!("{:<16}{value:>8}{unit}\n", Colon(name)))
    })
}

/// What the kernel maps by pages are its stacks, in half a TiB.
const VMALLOC_KIB: u64 = 512 << 20;

/// The rows of `/proc/vmstat` that are about pages.
pub(crate) fn page_counts() -> [(&'static str, u64); 9] {
    let memory = frame::stats();
    let (cached, kept) = reclaim::cached_pages();
    let rows = [
        ("nr_free_pages", memory.free),
        ("nr_anon_pages", anonymous(&memory)),
        ("nr_file_pages", cached + kept),
        ("nr_dirty", writeback::dirty_pages()),
        ("nr_writeback", 0),
        ("nr_slab_reclaimable", 0),
        ("nr_slab_unreclaimable", heap::held_frames()),
        ("nr_shmem", kept),
        ("nr_kernel_stack", stack::pages() * (PAGE_SIZE / 1024)),
    ];
    rows.map(|(name, count)| (name, u64_of(count)))
}

/// A name with a colon behind it, so that padding comes after the colon.
struct Colon(&'static str);

impl core::fmt::Display for Colon {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let width = f.width().unwrap_or(0).saturating_sub(self.0.len() + 1);
        write!(f, "{}:{:width$}", self.0, "")
    }
}

fn devices(out: &mut Text) -> Result<(), Errno> {
    out.bytes(b"Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n 10 misc\n128 ptm\n136 pts\n\n")?;
    out.bytes(b"Block devices:\n")?;
    out.bytes(b"  7 loop\n254 virtblk\n259 blkext\n")
}

fn filesystems(out: &mut Text) -> Result<(), Errno> {
    superblock::types().try_for_each(|kind| {
        let nodev = if kind.driver.is_some() { "" } else { "nodev" };
        out.put(format_args!("{nodev}\t{}\n", kind.name))
    })
}

/// A path or word with the bytes escaped that would break a line into other fields.
fn escaped(bytes: &[u8], out: &mut Text) -> Result<(), Errno> {
    bytes.iter().try_for_each(|byte| match byte {
        b' ' | b'\t' | b'\n' | b'\\' | b'#' => out.put(format_args!("\\{byte:03o}")),
        _ => out.bytes(&[*byte]),
    })
}

/// What flags say, behind `rw` or `ro`.
fn options(flags: MountFlags, out: &mut Text) -> Result<(), Errno> {
    let read_only = flags.contains(MountFlags::READ_ONLY);
    out.bytes(if read_only { b"ro" } else { b"rw" })?;
    let named = [
        (MountFlags::SYNC, ",sync"),
        (MountFlags::DIR_SYNC, ",dirsync"),
        (MountFlags::MAND, ",mand"),
        (MountFlags::LAZYTIME, ",lazytime"),
        (MountFlags::NO_SUID, ",nosuid"),
        (MountFlags::NO_DEV, ",nodev"),
        (MountFlags::NO_EXEC, ",noexec"),
        (MountFlags::NO_ATIME, ",noatime"),
        (MountFlags::NO_DIR_ATIME, ",nodiratime"),
        (MountFlags::RELATIME, ",relatime"),
        (MountFlags::NO_SYMFOLLOW, ",nosymfollow"),
    ];
    named
        .iter()
        .filter(|(flag, _)| flags.contains(*flag))
        .try_for_each(|(_, name)| out.bytes(name.as_bytes()))
}

/// Where a mount is, as `root` sees it; nothing when it can't be seen from there.
fn place(mount: &alloc::sync::Arc<Mount>, root: &Path, out: &mut Text) -> Result<bool, Errno> {
    let name = Path::root_of(mount).name_from(root)?;
    if name.reachable {
        escaped(&name.bytes, out)?;
    }
    Ok(name.reachable)
}

/// How events reach a mount: the optional fields.
fn propagation(mount: &Mount, out: &mut Text) -> Result<(), Errno> {
    let how = mount.propagation();
    if how.shared != 0 {
        out.put(format_args!(" shared:{}", how.shared))?;
    }
    if how.master != 0 {
        out.put(format_args!(" master:{}", how.master))?;
    }
    if how.unbindable {
        out.bytes(b" unbindable")?;
    }
    Ok(())
}

/// `/proc/PID/mountstats`.
pub(super) fn mount_stats(context: &FsContext, out: &mut Text) -> Result<(), Errno> {
    let root = context.root();
    for mount in context.namespace().mounts()? {
        let mut line = Text::default();
        match mount.source() {
            b"" => line.bytes(b"no device mounted on ")?,
            source => {
                line.bytes(b"device ")?;
                escaped(source, &mut line)?;
                line.bytes(b" mounted on ")?;
            }
        }
        if place(&mount, &root, &mut line)? {
            out.bytes(line.as_bytes())?;
            out.put(format_args!(" with fstype {}\n", mount.sb().kind()))?;
        }
    }
    Ok(())
}

/// `/proc/PID/mounts`.
pub(super) fn mounts(context: &FsContext, out: &mut Text) -> Result<(), Errno> {
    let root = context.root();
    for mount in context.namespace().mounts()? {
        let mut line = Text::default();
        let source = match mount.source() {
            b"" => b"none",
            source => source,
        };
        escaped(source, &mut line)?;
        line.bytes(b" ")?;
        if !place(&mount, &root, &mut line)? {
            continue;
        }
        line.put(format_args!(" {} ", mount.sb().kind()))?;
        options(mount.flags() | mount.sb().flags(), &mut line)?;
        line.bytes(&mount.sb().ops().options())?;
        line.bytes(b" 0 0\n")?;
        out.bytes(line.as_bytes())?;
    }
    Ok(())
}

/// `/proc/PID/mountinfo`.
pub(super) fn mount_info(context: &FsContext, out: &mut Text) -> Result<(), Errno> {
    let root = context.root();
    for mount in context.namespace().mounts()? {
        let parent = mount.place().map_or(INVISIBLE, |place| place.mount.id());
        let dev = mount.sb().dev();
        let mut line = Text::default();
        line.put(format_args!(
            "{} {parent} {}:{} ",
            mount.id(),
            dev.major,
            dev.minor
        ))?;
        let mut shown = alloc::vec::Vec::new();
        let mut at = mount.root().prepend_name(&mut shown)?;
        while let Some(dentry) = at {
            at = dentry.prepend_name(&mut shown)?;
        }
        // A root's own name is empty: it has put a lone slash at the end.
        if shown.len() > 1 {
            shown.pop();
        }
        shown.reverse();
        escaped(&shown, &mut line)?;
        line.bytes(b" ")?;
        if !place(&mount, &root, &mut line)? {
            continue;
        }
        line.bytes(b" ")?;
        options(mount.flags(), &mut line)?;
        propagation(&mount, &mut line)?;
        line.put(format_args!(" - {} ", mount.sb().kind()))?;
        escaped(mount.source(), &mut line)?;
        line.bytes(b" ")?;
        options(mount.sb().flags(), &mut line)?;
        line.bytes(&mount.sb().ops().options())?;
        line.bytes(b"\n")?;
        out.bytes(line.as_bytes())?;
    }
    Ok(())
}

/// `/proc/PID/fdinfo/N`.
pub(super) fn fd_info(files: &FdTable, fd: i32, out: &mut Text) -> Result<(), Errno> {
    let file = files.get_any(fd).map_err(|_| Errno::ENOENT)?;
    let cloexec = if files.is_close_on_exec(fd)? {
        kiln_core::abi::O_CLOEXEC
    } else {
        0
    };
    let position = *file.position();
    out.put(format_args!(
        "pos:\t{position}\nflags:\t0{:o}\nmnt_id:\t{}\nino:\t{}\n",
        file.flags() | cloexec,
        file.path.mount.id(),
        file.inode.ino()
    ))?;
    if let Some(locks) = file.inode.existing_locks() {
        locks.write(Some(file.id()), &mut 0, out)?;
    }
    file.ops.describe(out).map_err(|_| Errno::ENOMEM)
}
