//! Disks in `/sys`: where they hang among the devices, their sizes and limits, and the links that
//! lead to them by name and by number.
//!
//! The numbers along a path are the disk's, three times (the device, its bus, its driver's), then the minor
//! number of a partition.

use kiln_core::errno::Errno;

use super::{Entry, Family, Numbers, Text, What};
use crate::fs::blockdev::{self, MAJOR, MINORS};

/// Where Linux hangs the disks of a machine whose devices its command line tells of.
macro_rules! disk {
    ($rest:literal) => {
        concat!("devices/virtio-mmio-cmdline/*/*/block/*", $rest)
    };
}

/// The entries.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: "block/*",
        what: What::Links(DISKS, |n, out| {
            out.bytes(b"../")?;
            place(last(n), out)
        }),
    },
    Entry {
        path: "class/block/*",
        what: What::Links(ALL, |n, out| {
            out.bytes(b"../../")?;
            place(last(n), out)
        }),
    },
    Entry {
        path: "dev/block/*",
        what: What::Links(
            Family {
                next: |_, from| blockdev::next_minor(from),
                name: |minor, out| out.put(format_args!("{MAJOR}:{minor}")),
            },
            |n, out| {
                out.bytes(b"../../")?;
                place(last(n), out)
            },
        ),
    },
    Entry::family(
        "devices/virtio-mmio-cmdline/*",
        Family {
            next: |_, from| next_disk(from),
            name: |disk, out| out.put(format_args!("virtio-mmio.{}", disk / MINORS)),
        },
    ),
    Entry::family(
        "devices/virtio-mmio-cmdline/*/*",
        Family {
            next: same,
            name: |disk, out| out.put(format_args!("virtio{}", disk / MINORS)),
        },
    ),
    Entry::fixed("devices/virtio-mmio-cmdline/*/*/device", "0x0002\n"),
    Entry::fixed("devices/virtio-mmio-cmdline/*/*/vendor", "0x554d4551\n"),
    Entry::fixed("devices/virtio-mmio-cmdline/*/*/status", "0x0000000f\n"),
    Entry::family(
        disk!(""),
        Family {
            next: same,
            name: blockdev::write_name,
        },
    ),
    Entry::fixed(disk!("/alignment_offset"), "0\n"),
    Entry::fixed(disk!("/cache_type"), "write back\n"),
    Entry::fixed(disk!("/capability"), "0\n"),
    Entry::file(disk!("/dev"), |n, out| device(last(n), out)),
    Entry {
        path: disk!("/device"),
        what: What::Link(|n, out| out.put(format_args!("../../../virtio{}", last(n) / MINORS))),
    },
    Entry::fixed(disk!("/discard_alignment"), "0\n"),
    Entry::file(disk!("/diskseq"), |n, out| {
        out.put(format_args!("{}\n", last(n) / MINORS + 1))
    }),
    Entry::fixed(disk!("/events"), "\n"),
    Entry::fixed(disk!("/events_async"), "\n"),
    Entry::fixed(disk!("/ext_range"), "256\n"),
    Entry::fixed(disk!("/hidden"), "0\n"),
    Entry::directory(disk!("/holders")),
    Entry::fixed(disk!("/inflight"), "       0        0\n"),
    Entry::fixed(disk!("/queue/add_random"), "0\n"),
    Entry::fixed(disk!("/queue/chunk_sectors"), "0\n"),
    Entry::fixed(disk!("/queue/dax"), "0\n"),
    Entry::fixed(disk!("/queue/discard_granularity"), "512\n"),
    Entry::fixed(disk!("/queue/discard_max_bytes"), "2147483136\n"),
    Entry::fixed(disk!("/queue/discard_max_hw_bytes"), "2147483136\n"),
    Entry::fixed(disk!("/queue/discard_zeroes_data"), "0\n"),
    Entry::fixed(disk!("/queue/fua"), "0\n"),
    Entry::fixed(disk!("/queue/hw_sector_size"), "512\n"),
    Entry::fixed(disk!("/queue/io_poll"), "0\n"),
    Entry::fixed(disk!("/queue/iostats"), "1\n"),
    Entry::fixed(disk!("/queue/logical_block_size"), "512\n"),
    Entry::fixed(disk!("/queue/max_hw_sectors_kb"), "1280\n"),
    Entry::fixed(disk!("/queue/max_sectors_kb"), "1280\n"),
    Entry::fixed(disk!("/queue/max_segments"), "254\n"),
    Entry::fixed(disk!("/queue/minimum_io_size"), "512\n"),
    Entry::fixed(disk!("/queue/nomerges"), "0\n"),
    Entry::fixed(disk!("/queue/nr_requests"), "256\n"),
    Entry::fixed(disk!("/queue/nr_zones"), "0\n"),
    Entry::fixed(disk!("/queue/optimal_io_size"), "0\n"),
    Entry::fixed(disk!("/queue/physical_block_size"), "512\n"),
    Entry::fixed(disk!("/queue/read_ahead_kb"), "128\n"),
    Entry::fixed(disk!("/queue/rotational"), "1\n"),
    Entry::fixed(disk!("/queue/scheduler"), "[none] \n"),
    Entry::fixed(disk!("/queue/write_cache"), "write back\n"),
    Entry::fixed(disk!("/queue/write_same_max_bytes"), "0\n"),
    Entry::fixed(disk!("/queue/write_zeroes_max_bytes"), "0\n"),
    Entry::fixed(disk!("/queue/zoned"), "none\n"),
    Entry::family(
        disk!("/*"),
        Family {
            next: |n, from| {
                let disk = last(n);
                let part = blockdev::next_minor(from.max(disk + 1))?;
                (part / MINORS == disk / MINORS).then_some(part)
            },
            name: blockdev::write_name,
        },
    ),
    Entry::fixed(disk!("/*/alignment_offset"), "0\n"),
    Entry::file(disk!("/*/dev"), |n, out| device(last(n), out)),
    Entry::fixed(disk!("/*/discard_alignment"), "0\n"),
    Entry::directory(disk!("/*/holders")),
    Entry::fixed(disk!("/*/inflight"), "       0        0\n"),
    Entry::file(disk!("/*/partition"), |n, out| {
        out.put(format_args!("{}\n", last(n) % MINORS))
    }),
    Entry::file(disk!("/*/ro"), |n, out| read_only(last(n), out)),
    Entry::file(disk!("/*/size"), |n, out| size(last(n), out)),
    Entry::file(disk!("/*/start"), |n, out| {
        let start = blockdev::extent(last(n)).map_or(0, |(start, _)| start);
        out.put(format_args!("{start}\n"))
    }),
    Entry::link(disk!("/*/subsystem"), "../../../../../../../class/block"),
    Entry::file(disk!("/*/uevent"), |n, out| {
        event(last(n), "partition", out)?;
        out.put(format_args!("PARTN={}\n", last(n) % MINORS))
    }),
    Entry::fixed(disk!("/range"), "16\n"),
    Entry::fixed(disk!("/removable"), "0\n"),
    Entry::file(disk!("/ro"), |n, out| read_only(last(n), out)),
    Entry::file(disk!("/size"), |n, out| size(last(n), out)),
    Entry::directory(disk!("/slaves")),
    Entry::file(disk!("/stat"), |n, out| statistics(last(n), out)),
    Entry::link(disk!("/subsystem"), "../../../../../../class/block"),
    Entry::file(disk!("/uevent"), |n, out| {
        event(last(n), "disk", out)?;
        out.put(format_args!("DISKSEQ={}\n", last(n) / MINORS + 1))
    }),
];

/// The whole disks.
const DISKS: Family = Family {
    next: |_, from| next_disk(from),
    name: blockdev::write_name,
};

/// Disks and partitions.
const ALL: Family = Family {
    next: |_, from| blockdev::next_minor(from),
    name: blockdev::write_name,
};

/// The number that a path's last family has: the others' are the same, or 0.
fn last(numbers: &Numbers) -> u32 {
    numbers.iter().copied().fold(0, u32::max)
}

/// The disk at or behind a minor number.
fn next_disk(from: u32) -> Option<u32> {
    blockdev::next_minor(from.checked_next_multiple_of(MINORS)?)
}

/// The one member of a family below a disk: the same disk.
fn same(numbers: &Numbers, from: u32) -> Option<u32> {
    let disk = last(numbers);
    (from <= disk).then_some(disk)
}

/// Where a disk or partition is below `/sys`.
fn place(minor: u32, out: &mut Text) -> Result<(), Errno> {
    let disk = minor / MINORS;
    out.put(format_args!(
        "devices/virtio-mmio-cmdline/virtio-mmio.{disk}/virtio{disk}/block/"
    ))?;
    blockdev::write_name(disk * MINORS, out)?;
    if minor.is_multiple_of(MINORS) {
        return Ok(());
    }
    out.bytes(b"/")?;
    blockdev::write_name(minor, out)
}

fn device(minor: u32, out: &mut Text) -> Result<(), Errno> {
    out.put(format_args!("{MAJOR}:{minor}\n"))
}

fn size(minor: u32, out: &mut Text) -> Result<(), Errno> {
    let sectors = blockdev::extent(minor).map_or(0, |(_, count)| count);
    out.put(format_args!("{sectors}\n"))
}

fn read_only(minor: u32, out: &mut Text) -> Result<(), Errno> {
    let read_only = blockdev::disk(minor).is_some_and(|disk| disk.read_only());
    out.put(format_args!("{}\n", u32::from(read_only)))
}

/// What a disk has done (Documentation/block/stat.rst of Linux); only sectors are counted.
fn statistics(minor: u32, out: &mut Text) -> Result<(), Errno> {
    let stats = blockdev::disk(minor).map_or_else(Default::default, |disk| disk.stats());
    out.put(format_args!(
        "{:8} {:8} {:8} {:8} {:8} {:8} {:8} {:8} {:8} {:8} {:8} {:8} {:8} {:8} {:8} {:8} {:8}\n",
        0,
        0,
        stats.read / 512,
        0,
        0,
        0,
        stats.written / 512,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0
    ))
}

fn event(minor: u32, kind: &str, out: &mut Text) -> Result<(), Errno> {
    out.put(format_args!("MAJOR={MAJOR}\nMINOR={minor}\nDEVNAME="))?;
    blockdev::write_name(minor, out)?;
    out.put(format_args!("\nDEVTYPE={kind}\n"))
}
