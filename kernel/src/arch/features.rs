//! What this CPU can do (CPUID), and the control registers set accordingly.
//!
//! Programs need FSGSBASE ([`missing`]); everything else in [`Features`] is used where it is there.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags};

bitflags::bitflags! {
    /// Optional abilities of the CPU.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) struct Features: u32 {
        /// RDFSBASE and its kin.
        const FSGSBASE = 1 << 0;
        /// Supervisor-mode execution prevention.
        const SMEP = 1 << 1;
        /// Supervisor-mode access prevention, STAC and CLAC.
        const SMAP = 1 << 2;
        /// User-mode instruction prevention.
        const UMIP = 1 << 3;
        /// XSAVE and XCR0.
        const XSAVE = 1 << 4;
        /// XSAVEOPT.
        const XSAVEOPT = 1 << 5;
        /// Pages of 1 GiB.
        const PAGES_1G = 1 << 6;
        /// Global pages.
        const PGE = 1 << 7;
        /// RDRAND.
        const RDRAND = 1 << 8;
        /// RDTSCP.
        const RDTSCP = 1 << 9;
        /// The TSC runs at a constant rate in all states.
        const INVARIANT_TSC = 1 << 10;
        /// A hypervisor announces itself.
        const HYPERVISOR = 1 << 11;
        /// INVPCID.
        const INVPCID = 1 << 12;
        /// The local APIC's registers as MSRs.
        const X2APIC = 1 << 14;
        /// The CPU is QEMU's translator.
        const TCG = 1 << 15;
        /// SSE4.2, for its CRC32.
        const SSE4_2 = 1 << 16;
        /// Enhanced `rep movsb`: announced by QEMU too, where it isn't fast.
        const ERMS = 1 << 13;
    }
}

/// As [`detect`] found them.
static FEATURES: AtomicU32 = AtomicU32::new(0);
/// Whether STAC and CLAC exist; apart, because the user copies in assembly test it.
pub(crate) static SMAP_BYTE: core::sync::atomic::AtomicBool =
    core::sync::atomic::AtomicBool::new(false);

/// Whether RDFSBASE and its kin exist; apart, because the trap entry tests it.
pub(super) static FSGSBASE_BYTE: core::sync::atomic::AtomicBool =
    core::sync::atomic::AtomicBool::new(false);

/// How much memory is best moved: [`WIDE_MOVES`], [`BYTE_MOVES`], or neither.
pub(crate) static MOVES: AtomicU8 = AtomicU8::new(0);
/// Through YMM registers.
pub(crate) const WIDE_MOVES: u8 = 1;
/// With `rep movsb` and `rep stosb`.
pub(crate) const BYTE_MOVES: u8 = 2;

/// Chooses [`MOVES`]; `avx`: YMM registers may be used. Wide moves are for TCG alone: on a real CPU
/// they would leave the upper halves of a program's registers dirty, which slows its SSE code down.
pub(super) fn choose_moves(avx: bool) {
    let moves = match features() {
        found if found.contains(Features::TCG) => u8::from(avx) * WIDE_MOVES,
        found if found.contains(Features::ERMS) => BYTE_MOVES,
        _ => 0,
    };
    MOVES.store(moves, Ordering::Relaxed);
}

/// Whether the hypervisor's leaf says `TCGTCGTCGTCG`.
fn is_tcg() -> bool {
    let leaf = __cpuid(0x4000_0000);
    [leaf.ebx, leaf.ecx, leaf.edx] == [0x5447_4354, 0x4354_4743, 0x4743_5447]
}

/// The CPU's abilities.
pub(crate) fn features() -> Features {
    Features::from_bits_truncate(FEATURES.load(Ordering::Relaxed))
}

/// CPUID leaf 1's EDX.
static BASIC_EDX: AtomicU32 = AtomicU32::new(0);

/// What programs learn of the CPU: `AT_HWCAP`, which is CPUID leaf 1's EDX, and `AT_HWCAP2`, whose
/// bit 1 stands for FSGSBASE (asm/hwcap2.h).
pub(crate) fn capabilities() -> [u64; 2] {
    [u64::from(BASIC_EDX.load(Ordering::Relaxed)), 2]
}

/// Asks CPUID. Leaf numbers and bits: Intel SDM volume 2, CPUID.
fn detect() -> Features {
    let max = __cpuid(0).eax;
    let max_extended = __cpuid(0x8000_0000).eax;
    let basic = __cpuid(1);
    BASIC_EDX.store(basic.edx, Ordering::Relaxed);
    let seven = if max >= 7 {
        __cpuid_count(7, 0)
    } else {
        __cpuid(0x8000_0000)
    };
    let (b7, c7) = if max >= 7 {
        (seven.ebx, seven.ecx)
    } else {
        (0, 0)
    };
    let d1 = if max >= 0xD {
        __cpuid_count(0xD, 1).eax
    } else {
        0
    };
    let extended = __cpuid(0x8000_0001);
    let power = if max_extended >= 0x8000_0007 {
        __cpuid(0x8000_0007).edx
    } else {
        0
    };
    let bits = [
        (Features::FSGSBASE, b7, 0),
        (Features::SMEP, b7, 7),
        (Features::ERMS, b7, 9),
        (Features::INVPCID, b7, 10),
        (Features::SMAP, b7, 20),
        (Features::UMIP, c7, 2),
        (Features::SSE4_2, basic.ecx, 20),
        (Features::X2APIC, basic.ecx, 21),
        (Features::XSAVE, basic.ecx, 26),
        (Features::RDRAND, basic.ecx, 30),
        (Features::HYPERVISOR, basic.ecx, 31),
        (Features::PGE, basic.edx, 13),
        (Features::XSAVEOPT, d1, 0),
        (Features::PAGES_1G, extended.edx, 26),
        (Features::RDTSCP, extended.edx, 27),
        (Features::INVARIANT_TSC, power, 8),
    ];
    let mut found = Features::empty();
    for (feature, register, bit) in bits {
        found.set(feature, register & (1 << bit) != 0);
    }
    found.set(
        Features::TCG,
        found.contains(Features::HYPERVISOR) && is_tcg(),
    );
    found
}

/// An ability that isn't there and that no program can be run without.
pub(crate) fn missing() -> Option<&'static str> {
    (!features().contains(Features::FSGSBASE)).then_some("FSGSBASE")
}

/// Detects the abilities and sets CR0, CR4 and EFER by them.
pub(crate) fn init() {
    let found = detect();
    FEATURES.store(found.bits(), Ordering::Relaxed);
    SMAP_BYTE.store(found.contains(Features::SMAP), Ordering::Relaxed);
    FSGSBASE_BYTE.store(found.contains(Features::FSGSBASE), Ordering::Relaxed);
    enable();
    // As early as can be: an emulator translates code again for each state of XCR0.
    super::fpu::init();
}

/// Sets this CPU's CR0, CR4 and EFER by the abilities found.
pub(super) fn enable() {
    let found = features();
    let optional = [
        (Features::FSGSBASE, Cr4Flags::FSGSBASE),
        (
            Features::SMEP,
            Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION,
        ),
        (Features::SMAP, Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION),
        (Features::UMIP, Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION),
        (Features::XSAVE, Cr4Flags::OSXSAVE),
        (Features::PGE, Cr4Flags::PAGE_GLOBAL),
    ];
    let mut cr4 =
        Cr4Flags::PHYSICAL_ADDRESS_EXTENSION | Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE;
    for (feature, flag) in optional {
        cr4.set(flag, found.contains(feature));
    }
    let cr0 = Cr0Flags::PROTECTED_MODE_ENABLE
        | Cr0Flags::MONITOR_COPROCESSOR
        | Cr0Flags::EXTENSION_TYPE
        | Cr0Flags::NUMERIC_ERROR
        | Cr0Flags::WRITE_PROTECT
        | Cr0Flags::ALIGNMENT_MASK
        | Cr0Flags::PAGING;
    let efer = EferFlags::LONG_MODE_ENABLE
        | EferFlags::LONG_MODE_ACTIVE
        | EferFlags::NO_EXECUTE_ENABLE
        | EferFlags::SYSTEM_CALL_EXTENSIONS;
    // SAFETY: paging, long mode and NX stay as `boot.S` set them; what is added only restricts
    // (SMEP, SMAP, UMIP, WP) or makes instructions available, and each only where CPUID has it.
    unsafe {
        Efer::write(efer);
        Cr0::write_raw(cr0.bits());
        Cr4::write_raw(cr4.bits());
    }
}
