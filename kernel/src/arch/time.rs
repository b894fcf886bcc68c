//! Time since boot, from the TSC.
//!
//! There is no other clock on microvm. The TSC's rate comes from CPUID where that knows it; else it
//! is measured against the local APIC's timer, whose rate is known: at first for some 20 µs, which
//! may be wrong by a few percent, then once more over the whole boot ([`apic::settle_clock`]).
//!
//! [`apic::settle_clock`]: super::apic::settle_clock

use core::arch::x86_64::{__cpuid, _rdtsc};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::apic::TIMER_HZ;

/// Cycles that the first measurement waits: 20 µs at 1 GHz, and less at more.
const MEASURED_CYCLES: u64 = 20_000;
/// Cycles within which a read of the timer, an exit from the guest, is through when nothing comes between.
const QUICK_READ: u64 = 50_000;
/// How often it is tried: a busy host has as little time later.
const MOST_READS: u32 = 4;
const NS_PER_S: u64 = 1_000_000_000;
/// Rates that are taken for a mistake when they lie outside: 100 MHz to 20 GHz.
const PLAUSIBLE: core::ops::RangeInclusive<u64> = 100_000_000..=20_000_000_000;

/// The TSC at boot.
static START: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds for each cycle, times 2^32. Until it is known, as if the TSC ran at 1 GHz.
static SCALE: AtomicU64 = AtomicU64::new(1 << 32);

/// The TSC and the timer's ticks when the measurement began; 0 when there was none.
static MEASURED_FROM: AtomicU64 = AtomicU64::new(0);
static FIRST_TICKS: AtomicU32 = AtomicU32::new(0);

/// Takes now as the start of time: early, so that the boot's own time counts.
pub(super) fn init() {
    START.store(cycles(), Ordering::Relaxed);
}

/// The TSC.
#[inline]
pub(crate) fn cycles() -> u64 {
    // SAFETY: every CPU with long mode has it, and CR4.TSD only matters in user mode.
    unsafe { _rdtsc() }
}

/// Nanoseconds that `cycles` take.
#[inline]
pub(crate) fn cycles_to_ns(cycles: u64) -> u64 {
    let product = u128::from(cycles) * u128::from(SCALE.load(Ordering::Relaxed));
    kiln_core::num::low64(product >> 32)
}

/// The TSC's rate in kHz.
pub(crate) fn khz() -> u64 {
    (1_000_000 << 32) / SCALE.load(Ordering::Relaxed).max(1)
}

/// What [`now_ns`] computes with: the TSC's value when time began, and the nanoseconds in a cycle times
/// 2^32. They don't change any more once the boot is over.
pub(crate) fn parameters() -> [u64; 2] {
    [&START, &SCALE].map(|word| word.load(Ordering::Relaxed))
}

/// Nanoseconds since boot. Never goes back, on whichever CPU.
#[inline]
pub(crate) fn now_ns() -> u64 {
    ns_at(cycles())
}

/// What [`now_ns`] says when the TSC has this value.
#[inline]
pub(crate) fn ns_at(cycles: u64) -> u64 {
    // Wrapping: where the first measurement was far off, time may have begun before the TSC did.
    cycles_to_ns(cycles.wrapping_sub(START.load(Ordering::Relaxed)))
}

/// As [`now_ns`], and not before what was read until now: for comparing with what programs read
/// themselves, on whichever CPU.
#[inline]
pub(crate) fn ordered_now_ns() -> u64 {
    // SAFETY: waits for the loads before it; SSE2, as every CPU with long mode has it.
    unsafe { core::arch::x86_64::_mm_lfence() };
    now_ns()
}

/// Puts this CPU's TSC forward to `cycles`, where it is behind: another CPU's TSC was there before this
/// CPU came up, and clocks must not go back from one CPU to the next. (Hypervisors keep them together;
/// none that is ahead was ever seen.)
pub(super) fn catch_up(behind: u64) {
    if cycles() < behind {
        // SAFETY: IA32_TIME_STAMP_COUNTER (Intel SDM volume 3, 17.17); the kernel alone keeps time.
        unsafe { x86_64::registers::model_specific::Msr::new(0x10).write(behind) };
    }
}

/// Finds the TSC's rate; `start` starts the APIC's timer and `elapsed` reads its ticks since.
pub(super) fn calibrate(start: impl FnOnce(), elapsed: impl Fn() -> u32) {
    let hz = told().unwrap_or_else(|| measure(start, elapsed));
    let hz = if PLAUSIBLE.contains(&hz) {
        hz
    } else {
        NS_PER_S
    };
    SCALE.store(scale_of(hz), Ordering::Relaxed);
}

fn scale_of(hz: u64) -> u64 {
    kiln_core::num::low64((u128::from(NS_PER_S) << 32) / u128::from(hz))
}

/// Measures again over the time since [`calibrate`]; `elapsed` as there. With interrupts off, and
/// before there is a second CPU.
pub(super) fn refine(elapsed: impl Fn() -> u32) {
    let from = MEASURED_FROM.load(Ordering::Relaxed);
    let (ticks, to) = read_both(&elapsed);
    // Told, not measured; or the timer has run down since.
    if from == 0 || ticks == u32::MAX {
        return;
    }
    let ticks = ticks.wrapping_sub(FIRST_TICKS.load(Ordering::Relaxed));
    let hz = rate(to.wrapping_sub(from), ticks);
    if PLAUSIBLE.contains(&hz) {
        let now = cycles_to_ns(to.wrapping_sub(START.load(Ordering::Relaxed)));
        let scale = scale_of(hz);
        // The clock goes on from where it is.
        let since = kiln_core::num::low64((u128::from(now) << 32) / u128::from(scale));
        START.store(to.wrapping_sub(since), Ordering::Relaxed);
        SCALE.store(scale, Ordering::Relaxed);
    }
}

/// The rate as CPUID tells it: leaf 0x15 (crystal clock), or the hypervisor's leaf 0x4000_0010.
fn told() -> Option<u64> {
    if __cpuid(0).eax >= 0x15 {
        let leaf = __cpuid(0x15);
        let (denominator, numerator, crystal) = (leaf.eax, leaf.ebx, leaf.ecx);
        if denominator != 0 && numerator != 0 && crystal != 0 {
            return Some(u64::from(crystal) * u64::from(numerator) / u64::from(denominator));
        }
    }
    let hypervisor = super::features::features().contains(super::features::Features::HYPERVISOR);
    let max = if hypervisor {
        __cpuid(0x4000_0000).eax
    } else {
        0
    };
    if (0x4000_0010..0x4001_0000).contains(&max) {
        let khz = u64::from(__cpuid(0x4000_0010).eax);
        return (khz != 0).then_some(khz * 1000);
    }
    None
}

/// Two reads of the timer, apart by a known number of cycles: polling it would leave the guest
/// each time.
fn measure(start: impl FnOnce(), elapsed: impl Fn() -> u32) -> u64 {
    start();
    let (first, from) = read_both(&elapsed);
    MEASURED_FROM.store(from, Ordering::Relaxed);
    FIRST_TICKS.store(first, Ordering::Relaxed);
    while cycles() - from < MEASURED_CYCLES {
        core::hint::spin_loop();
    }
    let (ticks, to) = read_both(&elapsed);
    rate(to - from, ticks.wrapping_sub(first))
}

/// The timer's ticks and the TSC of the same moment. The host may take the CPU away between the two
/// reads, so a slow one is tried again, and the quickest counts.
fn read_both(elapsed: &impl Fn() -> u32) -> (u32, u64) {
    let (mut best, mut quickest) = ((0, 0), u64::MAX);
    for _ in 0..MOST_READS {
        let before = cycles();
        let ticks = elapsed();
        let width = cycles() - before;
        if width < quickest {
            (best, quickest) = ((ticks, before + width / 2), width);
        }
        if width < QUICK_READ {
            break;
        }
    }
    best
}

/// The TSC's rate, when `cycles` go by in `ticks` of the APIC's timer.
fn rate(cycles: u64, ticks: u32) -> u64 {
    kiln_core::num::low64(u128::from(cycles) * u128::from(TIMER_HZ) / u128::from(ticks.max(1)))
}
