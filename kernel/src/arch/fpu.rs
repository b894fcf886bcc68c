//! The FPU state of programs: x87, SSE, AVX and AVX-512 registers, as one area in memory.
//!
//! The kernel is soft-float, so the registers are a program's as long as its thread is on the CPU;
//! the scheduler saves and restores them with the thread. The area has XSAVE's standard format
//! (Intel SDM volume 1, 13.4), or FXSAVE's 512 bytes on CPUs without XSAVE, as signal frames have it.

use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use kiln_core::frames::OutOfMemory;
use kiln_core::num::{high32, low32, usize_of32};
use x86_64::registers::xcontrol::XCr0;

use super::features::{self, Features, features};

/// Bytes of the part that FXSAVE knows.
pub(crate) const LEGACY_SIZE: usize = 512;
/// Bytes of XSAVE's header, which follows.
const HEADER_SIZE: usize = 64;
/// MXCSR, and behind it the mask of its bits.
const MXCSR: usize = 24;
/// Components that programs may use: x87, SSE, AVX, and the three of AVX-512. (PKRU needs the
/// kernel's help, AMX a permission; neither is offered.)
const OFFERED: u64 = 0b1110_0111;
const AVX: u64 = 1 << 2;
/// The two components in the legacy part.
const LEGACY_COMPONENTS: u64 = 0b11;
/// What FCW and MXCSR are at first (psABI, 3.2.1).
const INITIAL_FCW: u16 = 0x37F;
const INITIAL_MXCSR: u32 = 0x1F80;

/// Bytes of an area.
static SIZE: AtomicUsize = AtomicUsize::new(LEGACY_SIZE);
/// Components in use: XCR0; 0 without XSAVE.
static COMPONENTS: AtomicU64 = AtomicU64::new(0);
/// Bits of MXCSR that may be set.
static MXCSR_BITS: AtomicU32 = AtomicU32::new(0xFFBF);

/// Bytes of an area on this CPU.
pub(crate) fn size() -> usize {
    SIZE.load(Ordering::Relaxed)
}

/// The components an area can hold (XCR0); 0 when it has FXSAVE's format.
pub(crate) fn components() -> u64 {
    COMPONENTS.load(Ordering::Relaxed)
}

/// Switches the components on.
pub(super) fn init() {
    set_up();
    features::choose_moves(components() & AVX != 0);
}

fn set_up() {
    if !features().contains(Features::XSAVE) {
        return;
    }
    let supported = __cpuid_count(0xD, 0);
    let offered = (u64::from(supported.edx) << 32 | u64::from(supported.eax)) & OFFERED;
    // SAFETY: CR4.OSXSAVE is set with the feature, and CPUID names these components. AVX needs SSE
    // and AVX-512 needs AVX, which every CPU that has them reports together.
    unsafe { XCr0::write_raw(offered) };
    COMPONENTS.store(offered, Ordering::Relaxed);
    // EBX is the size for what XCR0 has enabled just now.
    let size = usize_of32(__cpuid_count(0xD, 0).ebx);
    SIZE.store(size.max(LEGACY_SIZE + HEADER_SIZE), Ordering::Relaxed);
}

/// Switches the components on, on one more CPU.
pub(super) fn enable() {
    if components() != 0 {
        // SAFETY: what the boot CPU found, on a CPU of the same kind.
        unsafe { XCr0::write_raw(components()) };
    }
}

/// The state a program starts with, as far as XSAVE's header: the components behind it are in their initial state.
#[repr(C, align(64))]
struct Initial([u8; LEGACY_SIZE + HEADER_SIZE]);

static INITIAL: Initial = Initial({
    let mut area = [0; LEGACY_SIZE + HEADER_SIZE];
    [area[0], area[1]] = INITIAL_FCW.to_le_bytes();
    [area[MXCSR], area[MXCSR + 1], ..] = INITIAL_MXCSR.to_le_bytes();
    area
});

/// Gives the CPU's registers the state a program starts with.
pub(crate) fn start_afresh() {
    let area = INITIAL.0.as_ptr();
    // SAFETY: the area is whole and aligned, and the CPU refuses nothing in it.
    unsafe {
        if features().contains(Features::XSAVE) {
            asm!("xrstor64 [{}]", in(reg) area, in("eax") !0, in("edx") !0, options(nostack));
        } else {
            asm!("fxrstor64 [{}]", in(reg) area, options(nostack));
        }
    }
}

/// Where a program's memory didn't take the registers (CR2).
pub(crate) struct Refused(pub(crate) u64);

/// One instruction with the FPU's area at a program's address, with SMAP's window open; where it faults, CR2.
macro_rules! at_user {
    ($instruction:literal, $area:expr) => {{
        let (cr2, failed): (u64, u32);
        asm!(
            "test byte ptr [{smap}], 1",
            "jz 2f",
            "stac",
            concat!("2: ", $instruction),
            "xor ecx, ecx",
            "3: test byte ptr [{smap}], 1",
            "jz 4f",
            "clac",
            "4:",
            ".pushsection .ex_table, \"a\", @progbits",
            ".quad 2b, 3b",
            ".popsection",
            smap = sym features::SMAP_BYTE,
            area = in(reg) $area,
            inout("ecx") 1 => failed,
            inout("rax") 0xFFFF_FFFFu64 => cr2,
            inout("rdx") 0xFFFF_FFFFu64 => _,
            options(nostack),
        );
        if failed == 0 { Ok(()) } else { Err(Refused(cr2)) }
    }};
}

/// Puts the CPU's registers into a program's memory: a whole area, but for what the CPU never writes.
///
/// # Safety
/// `area` is aligned to 64 and [`size`] bytes from there are below the end of what programs may map.
pub(crate) unsafe fn save_to_user(area: u64) -> Result<(), Refused> {
    // SAFETY: the area is the program's; faults come back.
    unsafe {
        if components() == 0 {
            at_user!("fxsave64 [{area}]", area)
        } else {
            at_user!("xsave64 [{area}]", area)
        }
    }
}

/// Loads the CPU's registers from an XSAVE area in a program's memory. What it refuses, or what can't be read at once, may
/// leave some of them changed.
///
/// # Safety
/// As [`save_to_user`], and there is XSAVE.
pub(crate) unsafe fn load_from_user(area: u64) -> Result<(), Refused> {
    // SAFETY: the area is the program's; faults come back.
    unsafe { at_user!("xrstor64 [{area}]", area) }
}

/// Bytes that aren't an FPU state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BadFpuState;

/// The registers of one thread while another has the CPU.
#[derive(Debug)]
pub(crate) struct FpuState {
    area: NonNull<u8>,
}

// SAFETY: the area is owned like a box.
unsafe impl Send for FpuState {}
// SAFETY: `&self` only reads it.
unsafe impl Sync for FpuState {}

fn layout() -> Layout {
    // XSAVE wants 64; the size isn't zero and far from overflowing.
    Layout::from_size_align(size(), 64).unwrap_or(Layout::new::<[u8; LEGACY_SIZE]>())
}

impl FpuState {
    /// The state a program starts with.
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        // SAFETY: the layout's size isn't zero.
        let area = NonNull::new(unsafe { alloc_zeroed(layout()) }).ok_or(OutOfMemory)?;
        let mut state = Self { area };
        state.reset();
        Ok(state)
    }

    /// A copy of it.
    pub(crate) fn try_clone(&self) -> Result<Self, OutOfMemory> {
        let mut copy = Self::new()?;
        copy.bytes_mut().copy_from_slice(self.bytes());
        Ok(copy)
    }

    /// Makes it the state a program starts with.
    pub(crate) fn reset(&mut self) {
        // The header says that the components behind it are in their initial state.
        if let Some(start) = self
            .bytes_mut()
            .get_mut(..size().min(LEGACY_SIZE + HEADER_SIZE))
        {
            start.fill(0);
        }
        self.put(0, &INITIAL_FCW.to_le_bytes());
        self.put(MXCSR, &INITIAL_MXCSR.to_le_bytes());
    }

    /// The area as [`save_whole`](Self::save_whole) left it.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the area has this size and is initialised.
        unsafe { core::slice::from_raw_parts(self.area.as_ptr(), size()) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.area.as_ptr(), size()) }
    }

    fn put(&mut self, offset: usize, value: &[u8]) {
        if let Some(field) = self.bytes_mut().get_mut(offset..offset + value.len()) {
            field.copy_from_slice(value);
        }
    }

    /// Puts the CPU's registers here. Components in their initial state may be left out, so this is
    /// for [`restore`](Self::restore) only.
    #[inline]
    pub(crate) fn save(&mut self) {
        let area = self.area.as_ptr();
        let found = features();
        // SAFETY: the area is as large and as aligned as the instruction wants it, and the
        // instruction exists.
        unsafe {
            if found.contains(Features::XSAVEOPT) {
                asm!("xsaveopt64 [{}]", in(reg) area, in("eax") !0, in("edx") !0, options(nostack));
            } else {
                self.save_whole();
            }
        }
    }

    /// Puts the CPU's registers here, every byte of them: for whoever looks at them.
    pub(crate) fn save_whole(&mut self) {
        let area = self.area.as_ptr();
        // SAFETY: as in `save`.
        unsafe {
            if features().contains(Features::XSAVE) {
                asm!("xsave64 [{}]", in(reg) area, in("eax") !0, in("edx") !0, options(nostack));
            } else {
                asm!("fxsave64 [{}]", in(reg) area, options(nostack));
            }
        }
    }

    /// Loads the CPU's registers from here.
    #[inline]
    pub(crate) fn restore(&mut self) {
        if self.load_registers() {
            return;
        }
        // The checks of `set_bytes` leave nothing that the instruction refuses; if they did, the
        // program gets a fresh state, not the last one's.
        self.reset();
        self.load_registers();
    }

    /// Whether the CPU took the area.
    fn load_registers(&self) -> bool {
        let area = self.area.as_ptr();
        let refused: u32;
        // SAFETY: as in `save`. Values that the CPU refuses raise #GP, which the exception table
        // turns into `refused`. (A fixup may change RAX and RDX.)
        unsafe {
            if features().contains(Features::XSAVE) {
                asm!(
                    "2: xrstor64 [{area}]",
                    "xor ecx, ecx",
                    "3:",
                    ".pushsection .ex_table, \"a\", @progbits",
                    ".quad 2b, 3b",
                    ".popsection",
                    area = in(reg) area,
                    inout("ecx") 1 => refused,
                    inout("eax") !0 => _,
                    inout("edx") !0 => _,
                    options(nostack),
                );
            } else {
                asm!(
                    "2: fxrstor64 [{area}]",
                    "xor ecx, ecx",
                    "3:",
                    ".pushsection .ex_table, \"a\", @progbits",
                    ".quad 2b, 3b",
                    ".popsection",
                    area = in(reg) area,
                    inout("ecx") 1 => refused,
                    out("rax") _,
                    out("rdx") _,
                    options(nostack),
                );
            }
        }
        refused == 0
    }

    /// Takes over an area that a program has written: a signal frame's, say. With `extended` false
    /// or without XSAVE only its legacy part counts, and the other components start afresh.
    ///
    /// # Errors
    /// [`BadFpuState`], and nothing has changed, where Linux refuses it too: reserved bits of MXCSR,
    /// components that aren't there, a compacted format, a header that isn't zero where it must be,
    /// too few bytes.
    pub(crate) fn set_bytes(&mut self, bytes: &[u8], extended: bool) -> Result<(), BadFpuState> {
        let extended = extended && components() != 0;
        let needed = if extended { size() } else { LEGACY_SIZE };
        let bytes = bytes.get(..needed).ok_or(BadFpuState)?;
        if low32(word(bytes, MXCSR)) & !mxcsr_bits() != 0 {
            return Err(BadFpuState);
        }
        if extended {
            let mut reserved = (LEGACY_SIZE + 8..LEGACY_SIZE + HEADER_SIZE).step_by(8);
            let unknown = word(bytes, LEGACY_SIZE) & !components();
            if unknown != 0 || reserved.any(|offset| word(bytes, offset) != 0) {
                return Err(BadFpuState);
            }
        }
        if !extended {
            self.reset();
        }
        self.put(0, bytes);
        if !extended && components() != 0 {
            self.put(LEGACY_SIZE, &LEGACY_COMPONENTS.to_le_bytes());
        }
        Ok(())
    }
}

impl Drop for FpuState {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, which doesn't change after the first.
        unsafe { dealloc(self.area.as_ptr(), layout()) };
    }
}

/// The word at `offset`; 0 past the end.
fn word(bytes: &[u8], offset: usize) -> u64 {
    let field = bytes
        .get(offset..offset + 8)
        .and_then(|field| field.try_into().ok());
    u64::from_le_bytes(field.unwrap_or_default())
}

/// The bits of MXCSR that this CPU has: it writes them beside MXCSR.
fn mxcsr_bits() -> u32 {
    MXCSR_BITS.load(Ordering::Relaxed)
}

/// Asks for them; once there is a heap.
pub(crate) fn learn_mxcsr_bits() -> Result<(), OutOfMemory> {
    let mut state = FpuState::new()?;
    state.save_whole();
    match high32(word(state.bytes(), MXCSR)) {
        // Old CPUs leave the field alone, which means the default (Intel SDM volume 1, 11.6.6).
        0 => {}
        bits => MXCSR_BITS.store(bits, Ordering::Relaxed),
    }
    Ok(())
}
