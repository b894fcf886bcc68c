//! The processor's caches, as it tells of them through CPUID.

use core::arch::x86_64::{__cpuid, __cpuid_count};

use kiln_core::cpucache::{Cache, Kind};

/// Leaf of Intel's with a subleaf for each cache, and AMD's in the same form.
const INTEL: u32 = 4;
const AMD: u32 = 0x8000_001D;
/// `topoext` in ECX of leaf 8000_0001h: there is AMD's.
const TOPOLOGY_EXTENSIONS: u32 = 1 << 22;

/// Cache number `index`, in the order in which Linux numbers them. `processors`: how many there are, for
/// one that all share.
pub(crate) fn cache(index: u32, processors: u32) -> Option<Cache> {
    let leaf = |leaf| {
        let part = __cpuid_count(leaf, index);
        Cache::from_parameters(part.eax, part.ebx, part.ecx)
    };
    let extended = __cpuid(0x8000_0000).eax;
    if extended >= AMD && __cpuid(0x8000_0001).ecx & TOPOLOGY_EXTENSIONS != 0 {
        return leaf(AMD);
    }
    let amd = __cpuid(0).ebx == u32::from_le_bytes(*b"Auth");
    if !amd && __cpuid(0).eax >= INTEL {
        return leaf(INTEL);
    }
    if extended < 0x8000_0006 {
        return None;
    }
    let (first, rest) = (__cpuid(0x8000_0005), __cpuid(0x8000_0006));
    match index {
        0 => Cache::from_level_1(first.ecx, Kind::Data),
        1 => Cache::from_level_1(first.edx, Kind::Instruction),
        2 => Cache::from_level_2(rest.ecx),
        3 => Cache::from_level_3(rest.edx, processors),
        _ => None,
    }
}
