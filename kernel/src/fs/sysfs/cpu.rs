//! The processors in `/sys`: which there are, how they are grouped, their caches
//! (Documentation/ABI/testing/sysfs-devices-system-cpu of Linux), and the one node that they are on.
//!
//! All are cores of one package and run one thread each.

use kiln_core::cpucache::{Cache, Kind};
use kiln_core::errno::Errno;

use super::{Entry, Family, Numbers, Text, What};
use crate::arch::{caches, cpu, smp};

/// A path below each processor's directory.
macro_rules! cpu {
    ($rest:literal) => {
        concat!("devices/system/cpu/*/", $rest)
    };
}

/// The entries.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: "bus/cpu/devices/*",
        what: What::Links(CPUS, |n, out| {
            out.put(format_args!("../../../devices/system/cpu/cpu{}", id(n)))
        }),
    },
    Entry::fixed(
        "devices/system/clocksource/clocksource0/available_clocksource",
        "tsc \n",
    ),
    Entry::fixed(
        "devices/system/clocksource/clocksource0/current_clocksource",
        "tsc\n",
    ),
    Entry::family("devices/system/cpu/*", CPUS),
    Entry::fixed("devices/system/cpu/isolated", "\n"),
    Entry::fixed("devices/system/cpu/kernel_max", "63\n"),
    Entry::fixed("devices/system/cpu/offline", "\n"),
    Entry::file("devices/system/cpu/online", |_, out| {
        out.cpu_list(smp::mask())
    }),
    Entry::file("devices/system/cpu/possible", |_, out| {
        out.cpu_list(smp::mask())
    }),
    Entry::file("devices/system/cpu/present", |_, out| {
        out.cpu_list(smp::mask())
    }),
    Entry::fixed("devices/system/cpu/smt/active", "0\n"),
    Entry::fixed("devices/system/cpu/smt/control", "notsupported\n"),
    Entry::family(cpu!("cache/*"), CACHES),
    Entry::file(cpu!("cache/*/coherency_line_size"), |n, out| {
        number(cache(n)?.line, out)
    }),
    Entry::file(cpu!("cache/*/level"), |n, out| number(cache(n)?.level, out)),
    Entry::file(cpu!("cache/*/number_of_sets"), |n, out| {
        number(cache(n)?.sets, out)
    }),
    Entry::file(cpu!("cache/*/physical_line_partition"), |n, out| {
        number(cache(n)?.partitions, out)
    }),
    Entry::file(cpu!("cache/*/ways_of_associativity"), |n, out| {
        number(cache(n)?.ways, out)
    }),
    Entry::file(cpu!("cache/*/id"), |n, out| {
        number(sharers(n)?.trailing_zeros(), out)
    }),
    Entry::file(cpu!("cache/*/shared_cpu_list"), |n, out| {
        out.cpu_list(sharers(n)?)
    }),
    Entry::file(cpu!("cache/*/shared_cpu_map"), |n, out| {
        out.cpu_map(sharers(n)?)
    }),
    Entry::file(cpu!("cache/*/size"), |n, out| {
        out.put(format_args!("{}K\n", cache(n)?.size() / 1024))
    }),
    Entry::file(cpu!("cache/*/type"), |n, out| {
        out.bytes(match cache(n)?.kind {
            Kind::Data => b"Data\n",
            Kind::Instruction => b"Instruction\n",
            Kind::Unified => b"Unified\n",
        })
    }),
    Entry::link(cpu!("node0"), "../../node/node0"),
    Entry::link(cpu!("subsystem"), "../../../../bus/cpu"),
    Entry::fixed(cpu!("topology/cluster_id"), "65535\n"),
    Entry::file(cpu!("topology/core_id"), |n, out| number(id(n), out)),
    Entry::fixed(cpu!("topology/die_id"), "0\n"),
    Entry::fixed(cpu!("topology/physical_package_id"), "0\n"),
    Entry::file(cpu!("topology/cluster_cpus"), |n, out| out.cpu_map(own(n))),
    Entry::file(cpu!("topology/cluster_cpus_list"), |n, out| {
        out.cpu_list(own(n))
    }),
    Entry::file(cpu!("topology/core_cpus"), |n, out| out.cpu_map(own(n))),
    Entry::file(cpu!("topology/core_cpus_list"), |n, out| {
        out.cpu_list(own(n))
    }),
    Entry::file(cpu!("topology/thread_siblings"), |n, out| {
        out.cpu_map(own(n))
    }),
    Entry::file(cpu!("topology/thread_siblings_list"), |n, out| {
        out.cpu_list(own(n))
    }),
    Entry::file(cpu!("topology/core_siblings"), |_, out| {
        out.cpu_map(smp::mask())
    }),
    Entry::file(cpu!("topology/core_siblings_list"), |_, out| {
        out.cpu_list(smp::mask())
    }),
    Entry::file(cpu!("topology/die_cpus"), |_, out| out.cpu_map(smp::mask())),
    Entry::file(cpu!("topology/die_cpus_list"), |_, out| {
        out.cpu_list(smp::mask())
    }),
    Entry::file(cpu!("topology/package_cpus"), |_, out| {
        out.cpu_map(smp::mask())
    }),
    Entry::file(cpu!("topology/package_cpus_list"), |_, out| {
        out.cpu_list(smp::mask())
    }),
    Entry::file(cpu!("uevent"), |n, out| {
        out.put(format_args!("DRIVER=processor\nCPU={}\n", id(n)))
    }),
    Entry {
        path: "devices/system/node/node0/*",
        what: What::Links(CPUS, |n, out| {
            out.put(format_args!("../../cpu/cpu{}", id(n)))
        }),
    },
    Entry::file("devices/system/node/node0/cpulist", |_, out| {
        out.cpu_list(smp::mask())
    }),
    Entry::file("devices/system/node/node0/cpumap", |_, out| {
        out.cpu_map(smp::mask())
    }),
];

/// The processors.
const CPUS: Family = Family {
    next: |_, from| (from < smp::count()).then_some(from),
    name: |id, out| out.put(format_args!("cpu{id}")),
};

/// A processor's caches.
const CACHES: Family = Family {
    next: |_, from| caches::cache(from, smp::count()).map(|_| from),
    name: |index, out| out.put(format_args!("index{index}")),
};

/// Which processor it is about.
fn id(numbers: &Numbers) -> u32 {
    let [id, ..] = *numbers;
    id
}

fn own(numbers: &Numbers) -> u64 {
    1 << id(numbers)
}

fn cache(numbers: &Numbers) -> Result<Cache, Errno> {
    let [_, index, ..] = *numbers;
    caches::cache(index, smp::count()).ok_or(Errno::ENOENT)
}

/// The processors that share a cache: those whose APIC numbers differ only in the bits below.
fn sharers(numbers: &Numbers) -> Result<u64, Errno> {
    let bits = cache(numbers)?.sharers.next_power_of_two().trailing_zeros();
    let group = |id| cpu::block(id).map(|block| block.apic_id() >> bits.min(31));
    let own = group(id(numbers));
    let same = (0..smp::count()).filter(|other| group(*other) == own);
    Ok(same.fold(0, |mask, other| mask | 1 << other))
}

fn number(value: u32, out: &mut Text) -> Result<(), Errno> {
    out.put(format_args!("{value}\n"))
}
