//! Disks in `/sys`: where they hang among the devices, their sizes and limits, and the links that
//! lead to them by name and by number.
//!
//! The numbers along a path are the disk's key, up to three times (the device, its bus, its driver's), then the
//! key of a partition, which is larger.

use kiln_core::errno::Errno;
use kiln_core::fs::loopdev::{AUTOCLEAR, DIRECT_IO, PARTSCAN, Status};

use super::{Entry, Family, Numbers, Text, What};
use crate::fs::blockdev::{self, Key, MINORS, loops};
use crate::fs::superblock;
use crate::vm::MapName;

/// Where Linux hangs the disks of a machine whose devices its command line tells of.
macro_rules! disk {
    ($rest:literal) => {
        concat!("devices/virtio-mmio-cmdline/*/*/block/*", $rest)
    };
}

/// Where it hangs those that are no devices of the machine.
macro_rules! virt {
    ($rest:literal) => {
        concat!("devices/virtual/block/*", $rest)
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
                next: |_, from| blockdev::next(from),
                name: numbers,
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
            next: |_, from| blockdev::next_virtio(from),
            name: |disk, out| out.put(format_args!("virtio-mmio.{}", index(disk))),
        },
    ),
    Entry::family(
        "devices/virtio-mmio-cmdline/*/*",
        Family {
            next: same,
            name: |disk, out| out.put(format_args!("virtio{}", index(disk))),
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
        what: What::Link(|n, out| out.put(format_args!("../../../virtio{}", index(last(n))))),
    },
    Entry::fixed(disk!("/discard_alignment"), "0\n"),
    Entry::file(disk!("/diskseq"), |n, out| {
        out.put(format_args!("{}\n", index(last(n)) + 1))
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
    Entry::fixed(disk!("/queue/zone_append_max_bytes"), "0\n"),
    Entry::fixed(disk!("/queue/zone_write_granularity"), "0\n"),
    Entry::fixed(disk!("/queue/zoned"), "none\n"),
    Entry::family(disk!("/*"), PARTS),
    Entry::fixed(disk!("/*/alignment_offset"), "0\n"),
    Entry::file(disk!("/*/dev"), |n, out| device(last(n), out)),
    Entry::fixed(disk!("/*/discard_alignment"), "0\n"),
    Entry::directory(disk!("/*/holders")),
    Entry::fixed(disk!("/*/inflight"), "       0        0\n"),
    Entry::file(disk!("/*/partition"), |n, out| {
        out.put(format_args!("{}\n", blockdev::part_number(last(n))))
    }),
    Entry::file(disk!("/*/ro"), |n, out| read_only(last(n), out)),
    Entry::file(disk!("/*/size"), |n, out| size(last(n), out)),
    Entry::file(disk!("/*/start"), |n, out| start(last(n), out)),
    Entry::link(disk!("/*/subsystem"), "../../../../../../../class/block"),
    Entry::file(disk!("/*/uevent"), |n, out| part_event(last(n), out)),
    Entry::fixed(disk!("/range"), "16\n"),
    Entry::fixed(disk!("/removable"), "0\n"),
    Entry::file(disk!("/ro"), |n, out| read_only(last(n), out)),
    Entry::file(disk!("/size"), |n, out| size(last(n), out)),
    Entry::directory(disk!("/slaves")),
    Entry::file(disk!("/stat"), |n, out| statistics(last(n), out)),
    Entry::link(disk!("/subsystem"), "../../../../../../class/block"),
    Entry::file(disk!("/uevent"), |n, out| {
        event(last(n), "disk", out)?;
        out.put(format_args!("DISKSEQ={}\n", index(last(n)) + 1))
    }),
    Entry::family(
        "fs/ext4/*",
        Family {
            next: |_, from| next_ext4(from),
            name: blockdev::write_name,
        },
    ),
    Entry::family(
        virt!(""),
        Family {
            next: |_, from| loops::next(from),
            name: blockdev::write_name,
        },
    ),
    Entry::fixed(virt!("/alignment_offset"), "0\n"),
    Entry::file(virt!("/dev"), |n, out| device(last(n), out)),
    Entry::fixed(virt!("/discard_alignment"), "0\n"),
    Entry::directory(virt!("/holders")),
    Entry::family(
        virt!("/loop*"),
        Family {
            next: |n, from| {
                let device = loops::find(blockdev::number(last(n)).minor)?;
                same(n, from).filter(|_| device.bound().is_ok())
            },
            name: |_, out| out.bytes(b"loop"),
        },
    ),
    Entry::file(virt!("/loop*/autoclear"), |n, out| {
        of_loop(n, out, |status| has(status, AUTOCLEAR))
    }),
    Entry::file(virt!("/loop*/backing_file"), backing_file),
    Entry::file(virt!("/loop*/dio"), |n, out| {
        of_loop(n, out, |status| has(status, DIRECT_IO))
    }),
    Entry::file(virt!("/loop*/offset"), |n, out| {
        of_loop(n, out, |status| status.offset)
    }),
    Entry::file(virt!("/loop*/partscan"), |n, out| {
        of_loop(n, out, |status| has(status, PARTSCAN))
    }),
    Entry::file(virt!("/loop*/sizelimit"), |n, out| {
        of_loop(n, out, |status| status.size_limit)
    }),
    Entry::fixed(virt!("/queue/add_random"), "0\n"),
    Entry::fixed(virt!("/queue/chunk_sectors"), "0\n"),
    Entry::fixed(virt!("/queue/dax"), "0\n"),
    Entry::fixed(virt!("/queue/discard_granularity"), "4096\n"),
    Entry::fixed(virt!("/queue/discard_max_bytes"), "4294966784\n"),
    Entry::fixed(virt!("/queue/discard_zeroes_data"), "0\n"),
    Entry::file(virt!("/queue/logical_block_size"), |n, out| {
        block_size(last(n), out)
    }),
    Entry::file(virt!("/queue/minimum_io_size"), |n, out| {
        block_size(last(n), out)
    }),
    Entry::fixed(virt!("/queue/nr_requests"), "128\n"),
    Entry::fixed(virt!("/queue/nr_zones"), "0\n"),
    Entry::fixed(virt!("/queue/optimal_io_size"), "0\n"),
    Entry::file(virt!("/queue/physical_block_size"), |n, out| {
        block_size(last(n), out)
    }),
    Entry::fixed(virt!("/queue/read_ahead_kb"), "128\n"),
    Entry::fixed(virt!("/queue/rotational"), "0\n"),
    Entry::fixed(virt!("/queue/scheduler"), "[none] \n"),
    Entry::fixed(virt!("/queue/write_same_max_bytes"), "0\n"),
    Entry::fixed(virt!("/queue/zone_append_max_bytes"), "0\n"),
    Entry::fixed(virt!("/queue/zone_write_granularity"), "0\n"),
    Entry::fixed(virt!("/queue/zoned"), "none\n"),
    Entry::fixed(virt!("/removable"), "0\n"),
    Entry::file(virt!("/ro"), |n, out| read_only(last(n), out)),
    Entry::file(virt!("/size"), |n, out| size(last(n), out)),
    Entry::directory(virt!("/slaves")),
    Entry::file(virt!("/stat"), |n, out| statistics(last(n), out)),
    Entry::link(virt!("/subsystem"), "../../../../class/block"),
    Entry::file(virt!("/uevent"), |n, out| event(last(n), "disk", out)),
    Entry::family(virt!("/*"), PARTS),
    Entry::file(virt!("/*/dev"), |n, out| device(last(n), out)),
    Entry::file(virt!("/*/partition"), |n, out| {
        out.put(format_args!("{}\n", blockdev::part_number(last(n))))
    }),
    Entry::file(virt!("/*/ro"), |n, out| read_only(last(n), out)),
    Entry::file(virt!("/*/size"), |n, out| size(last(n), out)),
    Entry::file(virt!("/*/start"), |n, out| start(last(n), out)),
    Entry::link(virt!("/*/subsystem"), "../../../../../class/block"),
    Entry::file(virt!("/*/uevent"), |n, out| part_event(last(n), out)),
];

/// The whole disks.
const DISKS: Family = Family {
    next: |_, from| blockdev::next_disk(from),
    name: blockdev::write_name,
};

/// Disks and partitions.
const ALL: Family = Family {
    next: |_, from| blockdev::next(from),
    name: blockdev::write_name,
};

/// The partitions of the disk along the path.
const PARTS: Family = Family {
    next: |n, from| blockdev::next_part(last(n), from),
    name: blockdev::write_name,
};

/// The first device from there on with an ext4 file system in use. That it has a directory is what
/// pathconf(3) goes by: ext2 allows fewer links.
fn next_ext4(mut from: Key) -> Option<Key> {
    loop {
        let key = blockdev::next(from)?;
        let used = superblock::on_device(blockdev::number(key));
        if used.is_some_and(|(sb, _)| sb.kind() == "ext4") {
            return Some(key);
        }
        from = key.checked_add(1)?;
    }
}

/// The number that a path's last family has: the others' are the same, or 0.
fn last(numbers: &Numbers) -> u32 {
    numbers.iter().copied().fold(0, u32::max)
}

/// The number of a virtio disk.
fn index(disk: Key) -> u32 {
    blockdev::number(disk).minor / MINORS
}

/// The one member of a family below a disk: the same disk.
fn same(numbers: &Numbers, from: u32) -> Option<u32> {
    let disk = last(numbers);
    (from <= disk).then_some(disk)
}

/// Where a disk or partition is below `/sys`.
fn place(key: Key, out: &mut Text) -> Result<(), Errno> {
    let disk = blockdev::whole(key);
    if loops::next(disk) == Some(disk) {
        out.bytes(b"devices/virtual/block/")?;
    } else {
        let index = index(disk);
        out.put(format_args!(
            "devices/virtio-mmio-cmdline/virtio-mmio.{index}/virtio{index}/block/"
        ))?;
    }
    blockdev::write_name(disk, out)?;
    if key == disk {
        return Ok(());
    }
    out.bytes(b"/")?;
    blockdev::write_name(key, out)
}

fn numbers(key: Key, out: &mut Text) -> Result<(), Errno> {
    let number = blockdev::number(key);
    out.put(format_args!("{}:{}", number.major, number.minor))
}

fn device(key: Key, out: &mut Text) -> Result<(), Errno> {
    numbers(key, out)?;
    out.bytes(b"\n")
}

fn size(key: Key, out: &mut Text) -> Result<(), Errno> {
    let sectors = blockdev::extent(key).map_or(0, |(_, count)| count);
    out.put(format_args!("{sectors}\n"))
}

fn start(key: Key, out: &mut Text) -> Result<(), Errno> {
    let start = blockdev::extent(key).map_or(0, |(start, _)| start);
    out.put(format_args!("{start}\n"))
}

fn block_size(key: Key, out: &mut Text) -> Result<(), Errno> {
    let size = blockdev::disk(key).map_or(512, |disk| disk.block_size());
    out.put(format_args!("{size}\n"))
}

fn has(status: &Status, flag: u32) -> u64 {
    u64::from(status.flags & flag != 0)
}

fn read_only(key: Key, out: &mut Text) -> Result<(), Errno> {
    out.put(format_args!("{}\n", u32::from(blockdev::is_read_only(key))))
}

fn statistics(key: Key, out: &mut Text) -> Result<(), Errno> {
    for (at, value) in blockdev::statistics(key).iter().enumerate() {
        let space = if at == 0 { "" } else { " " };
        out.put(format_args!("{space}{value:8}"))?;
    }
    out.bytes(b"\n")
}

fn event(key: Key, kind: &str, out: &mut Text) -> Result<(), Errno> {
    let number = blockdev::number(key);
    out.put(format_args!(
        "MAJOR={}\nMINOR={}\nDEVNAME=",
        number.major, number.minor
    ))?;
    blockdev::write_name(key, out)?;
    out.put(format_args!("\nDEVTYPE={kind}\n"))
}

fn part_event(key: Key, out: &mut Text) -> Result<(), Errno> {
    event(key, "partition", out)?;
    out.put(format_args!("PARTN={}\n", blockdev::part_number(key)))
}

/// Writes something about a loop device that has a file.
fn of_loop(numbers: &Numbers, out: &mut Text, tell: fn(&Status) -> u64) -> Result<(), Errno> {
    let device = loops::find(blockdev::number(last(numbers)).minor).ok_or(Errno::ENODEV)?;
    let (status, _) = device.bound()?;
    out.put(format_args!("{}\n", tell(&status)))
}

fn backing_file(numbers: &Numbers, out: &mut Text) -> Result<(), Errno> {
    let device = loops::find(blockdev::number(last(numbers)).minor).ok_or(Errno::ENODEV)?;
    let (_, file) = device.bound()?;
    let mut path = alloc::vec::Vec::new();
    file.path(&mut path);
    out.bytes(&path)?;
    out.bytes(b"\n")
}
