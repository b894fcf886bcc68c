//! Who the CPU says it is (CPUID), for `/proc/cpuinfo`.
//!
//! Leaves and bits: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E. The flags' names are
//! Linux's (arch/x86/include/asm/cpufeatures.h).

use core::arch::x86_64::{__cpuid, __cpuid_count};

/// What CPUID tells.
pub(crate) struct Identity {
    vendor: [u8; 12],
    brand: [u8; 48],
    /// Family, extended family included.
    pub(crate) family: u32,
    /// Model, extended model included.
    pub(crate) model: u32,
    /// Stepping.
    pub(crate) stepping: u32,
    /// The highest leaf.
    pub(crate) level: u32,
    /// Bits of a physical address.
    pub(crate) physical_bits: u32,
    /// Bits of a virtual one.
    pub(crate) virtual_bits: u32,
    /// The words that [`FLAGS`] looks into.
    words: [u32; 6],
}

/// Names of the bits of one word; an empty name stands for a bit that isn't shown.
struct Flags {
    word: usize,
    names: &'static [(u8, &'static str)],
}

/// Word 0: leaf 1 EDX; 1: 0x8000_0001 EDX; 2: leaf 1 ECX; 3: 0x8000_0001 ECX; 4: leaf 7 EBX;
/// 5: leaf 7 ECX. In the order in which Linux shows them.
const FLAGS: &[Flags] = &[
    Flags {
        word: 0,
        names: &[
            (0, "fpu"),
            (1, "vme"),
            (2, "de"),
            (3, "pse"),
            (4, "tsc"),
            (5, "msr"),
            (6, "pae"),
            (7, "mce"),
            (8, "cx8"),
            (9, "apic"),
            (11, "sep"),
            (12, "mtrr"),
            (13, "pge"),
            (14, "mca"),
            (15, "cmov"),
            (16, "pat"),
            (17, "pse36"),
            (19, "clflush"),
            (23, "mmx"),
            (24, "fxsr"),
            (25, "sse"),
            (26, "sse2"),
            (27, "ss"),
            (28, "ht"),
        ],
    },
    Flags {
        word: 1,
        names: &[
            (11, "syscall"),
            (20, "nx"),
            (26, "pdpe1gb"),
            (27, "rdtscp"),
            (29, "lm"),
        ],
    },
    Flags {
        word: 2,
        names: &[
            (0, "pni"),
            (1, "pclmulqdq"),
            (9, "ssse3"),
            (12, "fma"),
            (13, "cx16"),
            (17, "pcid"),
            (19, "sse4_1"),
            (20, "sse4_2"),
            (21, "x2apic"),
            (22, "movbe"),
            (23, "popcnt"),
            (25, "aes"),
            (26, "xsave"),
            (28, "avx"),
            (29, "f16c"),
            (30, "rdrand"),
            (31, "hypervisor"),
        ],
    },
    Flags {
        word: 3,
        names: &[
            (0, "lahf_lm"),
            (5, "abm"),
            (6, "sse4a"),
            (8, "3dnowprefetch"),
        ],
    },
    Flags {
        word: 4,
        names: &[
            (0, "fsgsbase"),
            (3, "bmi1"),
            (5, "avx2"),
            (7, "smep"),
            (8, "bmi2"),
            (9, "erms"),
            (10, "invpcid"),
            (16, "avx512f"),
            (18, "rdseed"),
            (19, "adx"),
            (20, "smap"),
            (23, "clflushopt"),
            (24, "clwb"),
            (29, "sha_ni"),
        ],
    },
    Flags {
        word: 5,
        names: &[(2, "umip"), (3, "pku"), (9, "vaes"), (10, "vpclmulqdq")],
    },
];

/// Asks CPUID.
pub(crate) fn identity() -> Identity {
    let zero = __cpuid(0);
    let one = __cpuid(1);
    let seven = if zero.eax >= 7 {
        __cpuid_count(7, 0)
    } else {
        __cpuid(0x4FFF_FFFF)
    };
    let extended = __cpuid(0x8000_0001);
    let mut vendor = [0; 12];
    put(&mut vendor, &[zero.ebx, zero.edx, zero.ecx]);
    let mut brand = [0; 48];
    for (leaf, part) in (0x8000_0002..).zip(brand.chunks_exact_mut(16)) {
        let text = __cpuid(leaf);
        put(part, &[text.eax, text.ebx, text.ecx, text.edx]);
    }
    let base = one.eax >> 8 & 0xF;
    let family = if base == 0xF {
        base + (one.eax >> 20 & 0xFF)
    } else {
        base
    };
    let high_model = if matches!(base, 6 | 0xF) {
        one.eax >> 16 & 0xF
    } else {
        0
    };
    let sizes = __cpuid(0x8000_0008).eax;
    Identity {
        level: zero.eax,
        physical_bits: sizes & 0xFF,
        virtual_bits: sizes >> 8 & 0xFF,
        vendor,
        brand,
        family,
        model: high_model << 4 | one.eax >> 4 & 0xF,
        stepping: one.eax & 0xF,
        words: [
            one.edx,
            extended.edx,
            one.ecx,
            extended.ecx,
            seven.ebx,
            seven.ecx,
        ],
    }
}

fn put(to: &mut [u8], words: &[u32]) {
    for (part, word) in to.chunks_exact_mut(4).zip(words) {
        part.copy_from_slice(&word.to_le_bytes());
    }
}

fn text(bytes: &[u8]) -> &str {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    core::str::from_utf8(bytes.get(..end).unwrap_or_default())
        .unwrap_or("")
        .trim()
}

impl Identity {
    /// `GenuineIntel`, `AuthenticAMD`, ….
    pub(crate) fn vendor(&self) -> &str {
        text(&self.vendor)
    }

    /// The model's name.
    pub(crate) fn brand(&self) -> &str {
        text(&self.brand)
    }

    /// The names of its abilities.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &'static str> {
        FLAGS.iter().flat_map(|flags| {
            let word = self.words.get(flags.word).copied().unwrap_or(0);
            flags
                .names
                .iter()
                .filter(move |(bit, _)| word >> bit & 1 != 0)
                .map(|(_, name)| *name)
        })
    }
}
