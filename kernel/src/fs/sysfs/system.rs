//! What `/sys` tells of the machine and the kernel, but for what other rooms know better: the
//! directories that programs look for, character devices, and a few constants.

use kiln_core::errno::Errno;

use super::{Entry, Family, Numbers, Text, What};
use crate::vm::huge::{self, Policy};

/// The entries.
pub(super) const ENTRIES: &[Entry] = &[
    Entry::directory("bus/cpu/drivers"),
    Entry::directory("bus/platform/devices"),
    Entry::directory("bus/virtio/devices"),
    Entry::directory("class/block"),
    Entry::directory("class/net"),
    Entry {
        path: "class/mem/*",
        what: What::Links(MEMORY, class_link),
    },
    Entry {
        path: "class/tty/*",
        what: What::Links(TERMINALS, class_link),
    },
    Entry::directory("dev/block"),
    Entry {
        path: "dev/char/*",
        what: What::Links(
            Family {
                next: |_, from| next(from, |_| true),
                name: number,
            },
            class_link,
        ),
    },
    Entry::fixed("devices/system/node/has_cpu", "0\n"),
    Entry::fixed("devices/system/node/has_memory", "0\n"),
    Entry::fixed("devices/system/node/has_normal_memory", "0\n"),
    Entry::fixed("devices/system/node/node0/distance", "10\n"),
    Entry::fixed("devices/system/node/online", "0\n"),
    Entry::fixed("devices/system/node/possible", "0\n"),
    Entry::family("devices/virtual/mem/*", MEMORY),
    Entry::file("devices/virtual/mem/*/dev", device),
    Entry::link("devices/virtual/mem/*/subsystem", "../../../../class/mem"),
    Entry::file("devices/virtual/mem/*/uevent", event),
    Entry::family("devices/virtual/tty/*", TERMINALS),
    Entry::file("devices/virtual/tty/*/dev", device),
    Entry::link("devices/virtual/tty/*/subsystem", "../../../../class/tty"),
    Entry::file("devices/virtual/tty/*/uevent", event),
    Entry::directory("firmware"),
    Entry::directory("fs/cgroup"),
    Entry::directory("fs/ext4/features"),
    Entry::fixed("kernel/cpu_byteorder", "little\n"),
    Entry::fixed("kernel/address_bits", "64\n"),
    Entry::fixed("kernel/fscaps", "1\n"),
    Entry::fixed("kernel/kexec_crash_loaded", "0\n"),
    Entry::fixed("kernel/kexec_loaded", "0\n"),
    Entry::directory("kernel/debug"),
    Entry {
        path: "kernel/mm/transparent_hugepage/enabled",
        what: What::Settable(huge_pages, set_huge_pages),
    },
    Entry::fixed("kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n"),
    Entry::fixed("kernel/profiling", "0\n"),
    Entry::fixed("kernel/rcu_expedited", "0\n"),
    Entry::fixed("kernel/rcu_normal", "0\n"),
    Entry::directory("kernel/security"),
    Entry::directory("kernel/tracing"),
    Entry::fixed("kernel/uevent_seqnum", "0\n"),
    Entry::directory("module/ext4"),
    Entry::directory("module/kernel/parameters"),
    Entry::directory("module/virtio_blk"),
    Entry::directory("power"),
];

/// The choices, the one that holds in brackets.
fn huge_pages(_: &Numbers, out: &mut Text) -> Result<(), Errno> {
    out.bytes(match huge::policy() {
        Policy::Always => b"[always] madvise never\n",
        Policy::Advised => b"always [madvise] never\n",
        Policy::Never => b"always madvise [never]\n",
    })
}

fn set_huge_pages(_: &Numbers, value: &[u8]) -> Result<(), Errno> {
    huge::set_policy(match value.trim_ascii() {
        b"always" => Policy::Always,
        b"madvise" => Policy::Advised,
        b"never" => Policy::Never,
        _ => return Err(Errno::EINVAL),
    });
    Ok(())
}

/// A character device.
struct Device {
    name: &'static str,
    class: &'static str,
    mode: u32,
    major: u32,
    minor: u32,
}

const fn memory(name: &'static str, minor: u32) -> Device {
    Device {
        name,
        class: "mem",
        mode: 0o666,
        major: 1,
        minor,
    }
}

const fn terminal(name: &'static str, mode: u32, minor: u32) -> Device {
    Device {
        name,
        class: "tty",
        mode,
        major: 5,
        minor,
    }
}

/// The character devices, as `/dev` has them.
const DEVICES: [Device; 8] = [
    memory("null", 3),
    memory("zero", 5),
    memory("full", 7),
    memory("random", 8),
    memory("urandom", 9),
    terminal("tty", 0o666, 0),
    terminal("console", 0o600, 1),
    terminal("ptmx", 0o666, 2),
];

const MEMORY: Family = Family {
    next: |_, from| next(from, |device| device.class == "mem"),
    name,
};

const TERMINALS: Family = Family {
    next: |_, from| next(from, |device| device.class == "tty"),
    name,
};

/// The first device from that place in the table on which is so.
fn next(from: u32, is: fn(&Device) -> bool) -> Option<u32> {
    let mut devices = (0..).zip(&DEVICES);
    let found = devices.find(|(at, device)| *at >= from && is(device));
    found.map(|(at, _)| at)
}

fn at(place: u32) -> Result<&'static Device, Errno> {
    DEVICES
        .get(kiln_core::num::usize_of32(place))
        .ok_or(Errno::ENOENT)
}

fn name(place: u32, out: &mut Text) -> Result<(), Errno> {
    out.bytes(at(place)?.name.as_bytes())
}

fn number(place: u32, out: &mut Text) -> Result<(), Errno> {
    let device = at(place)?;
    out.put(format_args!("{}:{}", device.major, device.minor))
}

fn device(numbers: &Numbers, out: &mut Text) -> Result<(), Errno> {
    number(numbers[0], out)?;
    out.bytes(b"\n")
}

/// Where a link from a class, or from the numbers, leads.
fn class_link(numbers: &Numbers, out: &mut Text) -> Result<(), Errno> {
    let device = at(numbers[0])?;
    out.put(format_args!(
        "../../devices/virtual/{}/{}",
        device.class, device.name
    ))
}

fn event(numbers: &Numbers, out: &mut Text) -> Result<(), Errno> {
    let device = at(numbers[0])?;
    out.put(format_args!(
        "MAJOR={}\nMINOR={}\nDEVNAME={}\n",
        device.major, device.minor, device.name
    ))?;
    if device.mode != 0o600 {
        out.put(format_args!("DEVMODE=0{:o}\n", device.mode))?;
    }
    Ok(())
}
