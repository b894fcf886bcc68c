//! The files of `/proc` that are about the system, and `/proc/sys`.

use alloc::string::String;

use kiln_core::errno::Errno;
use kiln_core::num::u64_of;

use crate::arch::identity::identity;
use crate::arch::time::{self, now_ns};
use crate::drivers::{block, random};
use crate::fs::procfs::{Access, Fixed, Node, ProcFile, Text};
use crate::fs::{self, clock};
use crate::process::table;
use crate::process::uts;
use crate::{mm, options, sched, vm};

/// Clock ticks a second, as `/proc` counts (`USER_HZ`).
const TICKS: u64 = 100;
const NS_PER_TICK: u64 = 1_000_000_000 / TICKS;

/// A file of `/proc` whose text is one function.
macro_rules! text_file {
    ($(#[$doc:meta])* $name:ident, $out:ident => $body:expr) => {
        $(#[$doc])*
        pub(super) struct $name;
        impl ProcFile for $name {
            fn text(&self, $out: &mut Text) -> Result<(), Errno> {
                $body
            }
        }
    };
}

text_file! {
    /// The kernel's command line.
    Cmdline, out => {
        out.push(options::command_line())?;
        out.push(b"\n")
    }
}

text_file! {
    /// The processors.
    CpuInfo, out => {
        let cpu = identity();
        write!(out, "processor\t: 0\nvendor_id\t: {}\ncpu family\t: {}\nmodel\t\t: {}\n", cpu.vendor(), cpu.family, cpu.model)?;
        write!(out, "model name\t: {}\nstepping\t: {}\n", cpu.brand(), cpu.stepping)?;
        let khz = time::khz();
        write!(out, "cpu MHz\t\t: {}.{:03}\n", khz / 1000, khz % 1000)?;
        write!(out, "physical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\ncpu cores\t: 1\n")?;
        write!(out, "fpu\t\t: yes\nfpu_exception\t: yes\nwp\t\t: yes\nflags\t\t:")?;
        for flag in cpu.flags() {
            write!(out, " {flag}")?;
        }
        write!(out, "\nbogomips\t: {}.{:02}\n", khz / 500, khz / 5 % 100)?;
        write!(out, "clflush size\t: 64\ncache_alignment\t: 64\n\n")
    }
}

text_file! {
    /// Majors of devices.
    Devices, out => out.push(
        b"Character devices:\n  1 mem\n  4 tty\n  5 /dev/tty\n  5 /dev/console\n\nBlock devices:\n254 virtblk\n"
    )
}

text_file! {
    /// File systems that `mount` knows.
    FileSystems, out => {
        let mut result = Ok(());
        fs::superblock::for_each_type(|kind| {
            let mark = if kind.needs_device { "" } else { "nodev" };
            if result.is_ok() {
                result = write!(out, "{mark}\t{}\n", kind.name);
            }
        });
        result
    }
}

text_file! {
    /// How many threads there are; averages over time aren't kept.
    LoadAvg, out => {
        let (threads, last) = table::counts();
        write!(out, "0.00 0.00 0.00 1/{threads} {last}\n")
    }
}

text_file! {
    /// Memory.
    MemInfo, out => {
        let stats = mm::frame::stats();
        let cache = vm::cache_stats();
        let kib = |pages: usize| u64_of(pages) * 4;
        let available = stats.free + cache.clean;
        let rows = [
            ("MemTotal", kib(stats.total)),
            ("MemFree", kib(stats.free)),
            ("MemAvailable", kib(available)),
            ("Buffers", 0),
            ("Cached", kib(cache.pages)),
            ("SwapCached", 0),
            ("Active", kib(cache.pages)),
            ("Inactive", 0),
            ("SwapTotal", 0),
            ("SwapFree", 0),
            ("Dirty", kib(cache.dirty)),
            ("Writeback", 0),
            ("AnonPages", 0),
            ("Mapped", 0),
            ("Shmem", 0),
            ("Slab", 0),
            ("CommitLimit", kib(stats.total) / 2),
            ("Committed_AS", kib(stats.total.saturating_sub(stats.free))),
        ];
        for (name, value) in rows {
            let mut label = String::from(name);
            label.push(':');
            write!(out, "{label:<15} {value:>8} kB\n")?;
        }
        Ok(())
    }
}

text_file! {
    /// Block devices.
    Partitions, out => {
        out.push(b"major minor  #blocks  name\n\n")?;
        for (index, disk) in block::disks().iter().enumerate() {
            write!(out, "{:>4} {:>7} {:>10} {}\n", 254, index * 16, disk.sectors() / 2, disk.name())?;
        }
        Ok(())
    }
}

text_file! {
    /// Processor time and counters since boot.
    Stat, out => {
        let idle = sched::idle_ns() / NS_PER_TICK;
        let busy = (now_ns() / NS_PER_TICK).saturating_sub(idle);
        write!(out, "cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 {busy} 0 0 {idle} 0 0 0 0 0 0\nintr 0\nctxt 0\n")?;
        let (_, last) = table::counts();
        write!(out, "btime {}\nprocesses {last}\nprocs_running 1\nprocs_blocked 0\n", clock::boot_time_ns() / 1_000_000_000)
    }
}

text_file! {
    /// There is no swap.
    Swaps, out => out.push(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
}

text_file! {
    /// Seconds since boot, and idle.
    Uptime, out => {
        let centi = |ns: u64| (ns / 1_000_000_000, ns / 10_000_000 % 100);
        let (up, idle) = (centi(now_ns()), centi(sched::idle_ns()));
        write!(out, "{}.{:02} {}.{:02}\n", up.0, up.1, idle.0, idle.1)
    }
}

text_file! {
    /// As `uname -a` tells it.
    Version, out => write!(out, "Linux version {} (kiln) {}\n", uts::RELEASE, uts::VERSION)
}

text_file! {
    /// Counters of memory management.
    VmStat, out => {
        let stats = mm::frame::stats();
        let cache = vm::cache_stats();
        write!(out, "nr_free_pages {}\nnr_file_pages {}\nnr_dirty {}\n", stats.free, cache.pages, cache.dirty)
    }
}

/// `/proc/sys`.
pub(super) const SYS: &[(&str, fn() -> Result<Node, Errno>)] = &[
    ("fs", || Node::dir(Fixed(SYS_FS))),
    ("kernel", || Node::dir(Fixed(SYS_KERNEL))),
    ("vm", || Node::dir(Fixed(SYS_VM))),
];

const SYS_FS: &[(&str, fn() -> Result<Node, Errno>)] = &[
    ("file-max", || Node::file(Constant("9223372036854775807\n"))),
    ("nr_open", || Node::file(Constant("1048576\n"))),
    ("pipe-max-size", || Node::file(Constant("1048576\n"))),
    ("protected_hardlinks", || Node::file(Constant("0\n"))),
    ("protected_symlinks", || Node::file(Constant("0\n"))),
];

const SYS_KERNEL: &[(&str, fn() -> Result<Node, Errno>)] = &[
    ("cap_last_cap", || Node::file(Constant("40\n"))),
    ("hostname", || Node::file(Hostname)),
    ("ngroups_max", || Node::file(Constant("65536\n"))),
    ("osrelease", || Node::file(Release)),
    ("ostype", || Node::file(Constant("Linux\n"))),
    ("pid_max", || Node::file(Constant("32768\n"))),
    ("random", || Node::dir(Fixed(SYS_RANDOM))),
    ("randomize_va_space", || Node::file(Constant("2\n"))),
    ("threads-max", || Node::file(Constant("32768\n"))),
    ("version", || Node::file(VersionOnly)),
];

const SYS_RANDOM: &[(&str, fn() -> Result<Node, Errno>)] = &[
    ("boot_id", || Node::file(BootId)),
    ("entropy_avail", || Node::file(Constant("256\n"))),
    ("poolsize", || Node::file(Constant("256\n"))),
    ("uuid", || Node::file(Uuid)),
];

const SYS_VM: &[(&str, fn() -> Result<Node, Errno>)] = &[
    ("max_map_count", || Node::file(Constant("65530\n"))),
    ("mmap_min_addr", || Node::file(Constant("65536\n"))),
    ("overcommit_memory", || Node::file(Constant("0\n"))),
    ("overcommit_ratio", || Node::file(Constant("50\n"))),
];

/// A value that can't be changed here.
struct Constant(&'static str);

impl ProcFile for Constant {
    fn text(&self, out: &mut Text) -> Result<(), Errno> {
        out.push(self.0.as_bytes())
    }
}

struct Hostname;

impl ProcFile for Hostname {
    fn access(&self) -> Access {
        Access::root(0o644)
    }
    fn text(&self, out: &mut Text) -> Result<(), Errno> {
        out.push(&uts::hostname())?;
        out.push(b"\n")
    }
    fn write(&self, bytes: &[u8]) -> Result<(), Errno> {
        let end = bytes.iter().position(|byte| matches!(byte, b'\n' | 0)).unwrap_or(bytes.len());
        uts::set_hostname(bytes.get(..end).unwrap_or_default())
    }
}

text_file!(Release, out => write!(out, "{}\n", uts::RELEASE));
text_file!(VersionOnly, out => write!(out, "{}\n", uts::VERSION));

text_file!(Uuid, out => {
    let mut bytes = [0; 16];
    random::fill(&mut bytes);
    write_uuid(out, bytes)
});

text_file!(BootId, out => {
    static ID: crate::sync::Once<[u8; 16]> = crate::sync::Once::new();
    let id = ID.call_once(|| {
        let mut bytes = [0; 16];
        random::fill(&mut bytes);
        bytes
    });
    write_uuid(out, *id)
});

/// A random UUID (RFC 9562, version 4).
fn write_uuid(out: &mut Text, mut bytes: [u8; 16]) -> Result<(), Errno> {
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    for (index, byte) in bytes.iter().enumerate() {
        let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
        write!(out, "{dash}{byte:02x}")?;
    }
    out.push(b"\n")
}
