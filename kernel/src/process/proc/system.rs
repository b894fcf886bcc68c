//! The files of `/proc` that are about processors, processes and the kernel's name.

use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::errno::Errno;
use kiln_core::fs::attr::DeviceNumber;

use crate::arch::identity::identity;
use crate::arch::time::{self, now_ns};
use crate::arch::{caches, smp};
use crate::drivers::random;
use crate::fs::blockdev;
use crate::fs::procfs::{
    Content, INT_MAX, SystemFile, Text, number, number_file, page_counts, show_number,
};
use crate::process::{core_dump, host, table, usage};
use crate::sync::Once;
use crate::{options, sched};

/// What pid_max may be: `RESERVED_PIDS + 1` to `PID_MAX_LIMIT` (linux/threads.h).
const LEAST_PID_MAX: u32 = 301;
const MOST_PID_MAX: u32 = 4 << 20;

/// What the superuser says of the kernel's health; it has nothing to say by itself.
static TAINTED: AtomicU64 = AtomicU64::new(0);

/// The files.
pub(super) const FILES: &[SystemFile] = &[
    super::config::FILE,
    SystemFile::readable("cmdline", |out| {
        out.bytes(options::command_line())?;
        out.bytes(b"\n")
    }),
    SystemFile::readable("cpuinfo", cpuinfo),
    SystemFile::readable("diskstats", disk_stats),
    SystemFile::readable("partitions", partitions),
    SystemFile::readable("uptime", uptime),
    SystemFile::readable("version", version),
    SystemFile::readable("vmstat", vm_stat),
    name_file(
        "sys/kernel/domainname",
        |out| line(&host::domain_name()?, out),
        |value| host::set_domain_name(first_line(value)),
    ),
    name_file(
        "sys/kernel/hostname",
        |out| line(&host::host_name()?, out),
        |value| host::set_host_name(first_line(value)),
    ),
    SystemFile::fixed("sys/kernel/cap_last_cap", "40\n"),
    name_file(
        "sys/kernel/core_pattern",
        core_dump::show_pattern,
        |value| core_dump::set_pattern(first_line(value)),
    ),
    number_file!("sys/kernel/core_uses_pid", core_dump::USES_PID, 0, INT_MAX),
    SystemFile::fixed("sys/kernel/dmesg_restrict", "0\n"),
    SystemFile::fixed("sys/kernel/overflowgid", "65534\n"),
    SystemFile::fixed("sys/kernel/overflowuid", "65534\n"),
    SystemFile::fixed("sys/kernel/ngroups_max", "65536\n"),
    SystemFile::readable("sys/kernel/osrelease", |out| {
        put!(out, "{}\n", host::RELEASE)
    }),
    SystemFile::fixed("sys/kernel/ostype", "Linux\n"),
    SystemFile {
        path: "sys/kernel/pid_max",
        mode: 0o644,
        text: Content::Told(|out| put!(out, "{}\n", table::max_number())),
        write: Some(|text| {
            let max = u32::try_from(number(text)?).unwrap_or(u32::MAX);
            if !(LEAST_PID_MAX..=MOST_PID_MAX).contains(&max) {
                return Err(Errno::EINVAL);
            }
            table::set_max_number(max);
            Ok(())
        }),
    },
    SystemFile::readable("sys/kernel/random/boot_id", boot_id),
    SystemFile::readable("sys/kernel/random/uuid", |out| {
        write_uuid(out, fresh_uuid())
    }),
    SystemFile::fixed("sys/kernel/randomize_va_space", "2\n"),
    SystemFile::fixed(
        "sys/kernel/seccomp/actions_avail",
        "kill_process kill_thread trap errno trace log allow\n",
    ),
    SystemFile {
        path: "sys/kernel/tainted",
        mode: 0o644,
        text: Content::Told(|out| show_number(&TAINTED, out)),
        write: Some(|text| {
            TAINTED.fetch_or(number(text)?, Ordering::Relaxed);
            Ok(())
        }),
    },
    SystemFile::fixed("sys/kernel/threads-max", "32768\n"),
    SystemFile::readable("sys/kernel/version", |out| put!(out, "{}\n", host::VERSION)),
    SystemFile::fixed("sys/vm/mmap_min_addr", "65536\n"),
];

/// A file that shows one of the machine's names, and changes it.
const fn name_file(
    path: &'static str,
    read: fn(&mut Text) -> Result<(), Errno>,
    write: fn(&[u8]) -> Result<(), Errno>,
) -> SystemFile {
    SystemFile {
        path,
        mode: 0o644,
        text: Content::Told(read),
        write: Some(write),
    }
}

fn line(text: &[u8], out: &mut Text) -> Result<(), Errno> {
    out.bytes(text)?;
    out.bytes(b"\n")
}

fn cpuinfo(out: &mut Text) -> Result<(), Errno> {
    (0..smp::count()).try_for_each(|id| one_cpu(out, id))
}

fn one_cpu(out: &mut Text, id: u32) -> Result<(), Errno> {
    let cpu = identity();
    let khz = time::khz();
    let count = smp::count();
    put!(out, "processor\t: {id}\nvendor_id\t: {}\n", cpu.vendor())?;
    put!(
        out,
        "cpu family\t: {}\nmodel\t\t: {}\n",
        cpu.family,
        cpu.model
    )?;
    put!(
        out,
        "model name\t: {}\nstepping\t: {}\n",
        cpu.brand(),
        cpu.stepping
    )?;
    put!(out, "cpu MHz\t\t: {}.{:03}\n", khz / 1000, khz % 1000)?;
    // The cache of the highest level.
    if let Some(cache) = (0..4).rev().find_map(|index| caches::cache(index, count)) {
        put!(out, "cache size\t: {} KB\n", cache.size() / 1024)?;
    }
    put!(out, "physical id\t: 0\nsiblings\t: {count}\n")?;
    put!(out, "core id\t\t: {id}\ncpu cores\t: {count}\n")?;
    put!(out, "apicid\t\t: {id}\ninitial apicid\t: {id}\n")?;
    put!(
        out,
        "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: {}\nwp\t\t: yes\nflags\t\t:",
        cpu.level
    )?;
    for flag in cpu.flags() {
        put!(out, " {flag}")?;
    }
    put!(out, "\nbogomips\t: {}.{:02}\n", khz / 500, khz / 5 % 100)?;
    put!(
        out,
        "clflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: {} bits physical, {} bits virtual\npower management:\n\n",
        cpu.physical_bits,
        cpu.virtual_bits
    )
}

fn partitions(out: &mut Text) -> Result<(), Errno> {
    out.bytes(b"major minor  #blocks  name\n\n")?;
    let mut at = 0;
    while let Some(key) = blockdev::next(at) {
        at = key + 1;
        let blocks = blockdev::extent(key).map_or(0, |(_, sectors)| sectors / 2);
        let DeviceNumber { major, minor } = blockdev::number(key);
        // Loop devices without a file aren't listed.
        if blocks == 0 {
            continue;
        }
        put!(out, "{major:>4} {minor:>7} {blocks:>10} ")?;
        blockdev::write_name(key, out)?;
        out.bytes(b"\n")?;
    }
    Ok(())
}

fn disk_stats(out: &mut Text) -> Result<(), Errno> {
    let mut at = 0;
    while let Some(key) = blockdev::next(at) {
        at = key + 1;
        let DeviceNumber { major, minor } = blockdev::number(key);
        put!(out, "{major:>4} {minor:>7} ")?;
        blockdev::write_name(key, out)?;
        for value in blockdev::statistics(key) {
            put!(out, " {value}")?;
        }
        out.bytes(b"\n")?;
    }
    Ok(())
}

/// What is counted of memory, and of what went to disks (in KiB) and came from there.
fn vm_stat(out: &mut Text) -> Result<(), Errno> {
    let (mut read, mut written) = (0, 0);
    let mut at = 0;
    while let Some(key) = blockdev::next(at) {
        at = key + 1;
        let [_, _, sectors, _, _, _, out_sectors, ..] = blockdev::statistics(key);
        read += sectors / 2;
        written += out_sectors / 2;
    }
    let mut all = usage::totals();
    for pid in table::pids()? {
        if let Some(process) = table::process_of(pid).filter(|it| it.ended().is_none()) {
            all.add(&usage::of_process(&process));
        }
    }
    let more = [
        ("pgpgin", read),
        ("pgpgout", written),
        ("pswpin", 0),
        ("pswpout", 0),
        ("pgfault", all.minor_faults + all.major_faults),
        ("pgmajfault", all.major_faults),
    ];
    let rows = page_counts();
    let mut rows = rows.iter().chain(&more);
    rows.try_for_each(|(name, count)| put!(out, "{name} {count}\n"))
}

fn uptime(out: &mut Text) -> Result<(), Errno> {
    let hundredths = |ns: u64| (ns / 1_000_000_000, ns / 10_000_000 % 100);
    let (up, idle) = (hundredths(now_ns()), hundredths(sched::idle_ns()));
    put!(out, "{}.{:02} {}.{:02}\n", up.0, up.1, idle.0, idle.1)
}

fn version(out: &mut Text) -> Result<(), Errno> {
    put!(
        out,
        "Linux version {} (kiln) {}\n",
        host::RELEASE,
        host::VERSION
    )
}

/// What is written to a file, as far as its first line goes.
pub(super) fn first_line(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|byte| matches!(byte, b'\n' | 0));
    value.get(..end.unwrap_or(value.len())).unwrap_or_default()
}

fn boot_id(out: &mut Text) -> Result<(), Errno> {
    static ID: Once<[u8; 16]> = Once::new();
    write_uuid(out, *ID.call_once(fresh_uuid))
}

/// A random UUID (RFC 9562, version 4).
fn fresh_uuid() -> [u8; 16] {
    let mut bytes = [0; 16];
    random::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    bytes
}

fn write_uuid(out: &mut Text, bytes: [u8; 16]) -> Result<(), Errno> {
    for (index, byte) in bytes.iter().enumerate() {
        let dash = if matches!(index, 4 | 6 | 8 | 10) {
            "-"
        } else {
            ""
        };
        put!(out, "{dash}{byte:02x}")?;
    }
    out.bytes(b"\n")
}
