//! The frame a signal handler finds on its stack: x86-64's `struct rt_sigframe`, to and from
//! bytes (arch/x86/include/uapi/asm/{sigcontext,ucontext}.h), and where it goes ([`place`]).
//!
//! ```text
//!   higher   extended FPU state, 64-byte aligned, MAGIC2 behind it
//!            siginfo    128 bytes
//!            ucontext   304 bytes: flags link stack mcontext sigmask
//!   lower    return address (the restorer)          <- RSP when the handler starts
//! ```

use super::info::{SIGINFO_SIZE, SigInfo, read, write};
use super::{SigSet, Signal};
use crate::abi;

/// Bytes of the frame below the FPU state: return address, ucontext, siginfo.
pub const FRAME_SIZE: usize = INFO_AT + SIGINFO_SIZE;
/// Where the ucontext starts (the handler's third argument).
pub const UCONTEXT_AT: usize = 8;
/// Where the siginfo starts (the handler's second argument).
pub const INFO_AT: usize = UCONTEXT_AT + 304;
/// Bytes below the stack pointer that a function may use without moving it (the System V ABI).
const RED_ZONE: u64 = 128;

const STACK_AT: usize = UCONTEXT_AT + 16;
const MCONTEXT_AT: usize = UCONTEXT_AT + 40;
const SIGMASK_AT: usize = UCONTEXT_AT + 296;
const SEGMENTS_AT: usize = MCONTEXT_AT + 144;
const ERROR_AT: usize = MCONTEXT_AT + 152;
const FPSTATE_AT: usize = MCONTEXT_AT + 184;

/// `UC_FP_XSTATE`: the FPU state is an XSAVE area.
const UC_FP_XSTATE: u64 = 1;
/// `UC_SIGCONTEXT_SS`: SS is saved.
const UC_SIGCONTEXT_SS: u64 = 2;
/// `UC_STRICT_RESTORE_SS`: it is restored as it stands.
const UC_STRICT_RESTORE_SS: u64 = 4;
/// Linux's selectors for 64-bit user code and data.
pub const USER_CODE: u16 = 0x33;
/// The other one.
pub const USER_DATA: u16 = 0x2b;

/// `FP_XSTATE_MAGIC1`, in the software-reserved bytes of the FXSAVE part.
const MAGIC1: u32 = 0x4650_5853;
/// `FP_XSTATE_MAGIC2`, behind the XSAVE area.
const MAGIC2: u32 = 0x4650_5845;
/// Bytes of [`MAGIC2`].
pub const MAGIC2_SIZE: usize = 4;
/// `struct _fpx_sw_bytes`' place in the FXSAVE area.
const SW_BYTES_AT: usize = 464;
/// Bytes of the FXSAVE area.
pub const FXSAVE_SIZE: usize = 512;

/// What the handler interrupted: general registers in `sigcontext`'s order, and the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Registers {
    /// r8 … r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp.
    pub general: [u64; 16],
    /// Instruction pointer.
    pub rip: u64,
    /// Flags.
    pub rflags: u64,
    /// Selector of code.
    pub cs: u16,
    /// Selector of the stack.
    pub ss: u16,
    /// The last fault's error code, vector and CR2.
    pub fault: [u64; 3],
}

/// An alternate signal stack, `stack_t`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AltStack {
    /// Lowest address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
    /// `SS_DISABLE`, `SS_AUTODISARM`.
    pub flags: u32,
}

/// Bytes of `stack_t`.
pub const ALT_STACK_SIZE: usize = 24;
/// `SS_AUTODISARM` (linux/signal.h).
pub const SS_AUTODISARM: u32 = 1 << 31;

impl Default for AltStack {
    fn default() -> Self {
        Self {
            base: 0,
            size: 0,
            flags: abi::SS_DISABLE,
        }
    }
}

impl AltStack {
    /// Whether a program set one.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.flags & abi::SS_DISABLE == 0
    }

    /// Whether this stack pointer lies in it (the stack counts as unused under `SS_AUTODISARM`).
    #[must_use]
    pub const fn is_on(&self, sp: u64) -> bool {
        self.is_enabled() && self.flags & SS_AUTODISARM == 0 && self.covers(sp)
    }

    /// Whether the pointer is above its base and not beyond its end.
    #[must_use]
    pub const fn covers(&self, sp: u64) -> bool {
        sp > self.base && sp - self.base <= self.size
    }

    /// `ss_flags` as sigaltstack(2) tells them of a thread with this stack pointer.
    #[must_use]
    pub const fn told_flags(&self, sp: u64) -> u32 {
        let mode = self.flags & SS_AUTODISARM;
        if !self.is_enabled() {
            abi::SS_DISABLE | mode
        } else if self.is_on(sp) {
            abi::SS_ONSTACK | mode
        } else {
            mode
        }
    }

    /// To the bytes of `stack_t`, with these flags.
    #[must_use]
    pub fn encode(&self, flags: u32) -> [u8; ALT_STACK_SIZE] {
        let mut bytes = [0; ALT_STACK_SIZE];
        write(&mut bytes, 0, &self.base.to_le_bytes());
        write(&mut bytes, 8, &flags.to_le_bytes());
        write(&mut bytes, 16, &self.size.to_le_bytes());
        bytes
    }

    /// From the bytes of `stack_t`, unchecked.
    #[must_use]
    pub fn decode(bytes: &[u8; ALT_STACK_SIZE]) -> Self {
        Self {
            base: u64::from_le_bytes(read(bytes, 0)),
            flags: u32::from_le_bytes(read(bytes, 8)),
            size: u64::from_le_bytes(read(bytes, 16)),
        }
    }
}

/// Where a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The FPU state, 64-byte aligned.
    pub fpstate: u64,
    /// The frame; the handler's stack pointer.
    pub frame: u64,
}

/// Chooses the place below the interrupted stack pointer, or on the alternate stack when the
/// action asks for one (`switch`); `fp_size` bytes of FPU state with its magic go above it.
///
/// `None` when the frame would leave the alternate stack that it is on: the process dies.
#[must_use]
pub fn place(sp: u64, alt: &AltStack, switch: bool, fp_size: u64) -> Option<Place> {
    let nested = alt.is_on(sp);
    let mut top = sp.wrapping_sub(RED_ZONE);
    let mut entering = false;
    if switch && alt.is_enabled() && !nested {
        top = alt.base.wrapping_add(alt.size);
        entering = true;
    }
    let fpstate = top.wrapping_sub(fp_size) & !63;
    let frame = (fpstate.wrapping_sub(FRAME_SIZE as u64) & !15).wrapping_sub(8);
    ((!nested && !entering) || alt.covers(frame)).then_some(Place { fpstate, frame })
}

/// Everything a frame holds but the FPU state itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Where the handler returns to.
    pub restorer: u64,
    /// Registers at the interruption.
    pub registers: Registers,
    /// The alternate stack at the interruption.
    pub alt: AltStack,
    /// `ss_flags` told of it.
    pub alt_flags: u32,
    /// The mask to go back to.
    pub mask: SigSet,
    /// Address of the FPU state; 0: none.
    pub fpstate: u64,
    /// The FPU state is an XSAVE area, not only FXSAVE's.
    pub xsave: bool,
    /// SS is restored as it stands, even where 64-bit code could do nothing with it.
    pub strict_ss: bool,
}

impl Frame {
    /// The frame as bytes, with the signal's story.
    #[must_use]
    pub fn encode(&self, info: &SigInfo) -> [u8; FRAME_SIZE] {
        let mut bytes = [0; FRAME_SIZE];
        let mut put = |at: usize, value: u64| write(&mut bytes, at, &value.to_le_bytes());
        put(0, self.restorer);
        let mut flags = UC_SIGCONTEXT_SS;
        if self.xsave {
            flags |= UC_FP_XSTATE;
        }
        if self.strict_ss {
            flags |= UC_STRICT_RESTORE_SS;
        }
        put(UCONTEXT_AT, flags);
        for (at, value) in (MCONTEXT_AT..).step_by(8).zip(self.registers.general) {
            put(at, value);
        }
        put(MCONTEXT_AT + 128, self.registers.rip);
        put(MCONTEXT_AT + 136, self.registers.rflags);
        let Registers { cs, ss, .. } = self.registers;
        put(SEGMENTS_AT, u64::from(cs) | u64::from(ss) << 48);
        let [error, vector, cr2] = self.registers.fault;
        put(ERROR_AT, error);
        put(ERROR_AT + 8, vector);
        put(ERROR_AT + 16, self.mask.bits());
        put(ERROR_AT + 24, cr2);
        put(FPSTATE_AT, self.fpstate);
        put(SIGMASK_AT, self.mask.bits());
        write(&mut bytes, STACK_AT, &self.alt.encode(self.alt_flags));
        write(&mut bytes, INFO_AT, &info.encode());
        bytes
    }

    /// Reads back what a handler leaves at its return. Only values that user mode may have come
    /// out: the mask never blocks SIGKILL, the flags hold only what a program may set, the selectors are of a program's
    /// privilege (whether they name anything is the processor's to say).
    #[must_use]
    pub fn decode(bytes: &[u8; FRAME_SIZE], current_rflags: u64) -> Self {
        let get = |at: usize| u64::from_le_bytes(read(bytes, at));
        let flags = get(UCONTEXT_AT);
        let segments = get(SEGMENTS_AT);
        let selector = |at: usize| u16::from_le_bytes(read(&segments.to_le_bytes(), at)) | 3;
        let mut general = [0; 16];
        for (at, value) in (MCONTEXT_AT..).step_by(8).zip(&mut general) {
            *value = get(at);
        }
        let alt = AltStack::decode(&read(bytes, STACK_AT));
        Self {
            restorer: get(0),
            registers: Registers {
                general,
                rip: get(MCONTEXT_AT + 128),
                rflags: restored_flags(get(MCONTEXT_AT + 136), current_rflags),
                cs: selector(0),
                ss: selector(6),
                fault: [get(ERROR_AT), get(ERROR_AT + 8), get(ERROR_AT + 24)],
            },
            alt,
            alt_flags: alt.flags,
            mask: SigSet::from_bits(get(SIGMASK_AT)).minus(SigSet::UNBLOCKABLE),
            fpstate: get(FPSTATE_AT),
            xsave: flags & UC_FP_XSTATE != 0,
            strict_ss: flags & UC_STRICT_RESTORE_SS != 0,
        }
    }
}

/// The flags a program may set through sigreturn: AC OF DF TF SF ZF AF PF CF RF.
const USER_FLAGS: u64 = 0x0005_0DD5;

const fn restored_flags(wanted: u64, current: u64) -> u64 {
    (current & !USER_FLAGS) | (wanted & USER_FLAGS)
}

/// The flags a handler starts with: direction, resume and trap flags off.
#[must_use]
pub const fn handler_flags(rflags: u64) -> u64 {
    rflags & !0x0001_0500
}

/// Marks a saved XSAVE area of `size` bytes as Linux does (`struct _fpx_sw_bytes`), in its
/// FXSAVE part; [`MAGIC2`] goes behind the area, see [`magic2`].
fn put_marks(bytes: &mut [u8], at: usize, size: u32, features: u64) {
    write(bytes, at, &MAGIC1.to_le_bytes());
    write(bytes, at + 4, &size.saturating_add(4).to_le_bytes());
    write(bytes, at + 8, &features.to_le_bytes());
    write(bytes, at + 16, &size.to_le_bytes());
}

/// Where in an XSAVE area the bytes of [`xstate_tail`] are.
pub const TAIL_AT: usize = SW_BYTES_AT;
/// How many they are: the software's 48, and XSAVE's header.
pub const TAIL_SIZE: usize = 48 + 64;

/// What the CPU leaves alone in an XSAVE area, as a frame has it: the marks, and a header with nothing in it yet.
#[must_use]
pub fn xstate_tail(size: u32, features: u64) -> [u8; TAIL_SIZE] {
    let mut tail = [0; TAIL_SIZE];
    put_marks(&mut tail, 0, size, features);
    tail
}

/// Whether these bytes are still [`xstate_tail`]'s, but for components that the header names, of those that are
/// there: then the CPU may load the area as it lies.
#[must_use]
pub fn is_unchanged(tail: &[u8; TAIL_SIZE], size: u32, features: u64) -> bool {
    let made = xstate_tail(size, features);
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(read(bytes, at));
    (0..TAIL_SIZE).step_by(8).all(|at| match at {
        48 => word(tail, at) & !features == 0,
        _ => word(tail, at) == word(&made, at),
    })
}

/// The bytes behind a marked XSAVE area.
#[must_use]
pub const fn magic2() -> [u8; MAGIC2_SIZE] {
    MAGIC2.to_le_bytes()
}

/// How much of the FPU state that a frame points to can be taken: its whole XSAVE area of this
/// many bytes when both marks are there, else only FXSAVE's part (`None`).
///
/// `magic2_at` reads the four bytes at an offset from the area's start.
pub fn marked_xstate(
    fxsave: &[u8; FXSAVE_SIZE],
    largest: u32,
    magic2_at: impl FnOnce(u32) -> Option<[u8; MAGIC2_SIZE]>,
) -> Option<Xstate> {
    let word = |at: usize| u32::from_le_bytes(read(fxsave, SW_BYTES_AT + at));
    let (extended, size) = (word(4), word(16));
    // 576: the FXSAVE part and the XSAVE header.
    let fits = (576..=largest).contains(&size) && size <= extended;
    if word(0) != MAGIC1 || !fits || magic2_at(size)? != magic2() {
        return None;
    }
    Some(Xstate {
        size,
        features: u64::from_le_bytes(read(fxsave, SW_BYTES_AT + 8)),
    })
}

/// Drops from an XSAVE area the components that the program didn't say are in it: they start
/// afresh. (`XSTATE_BV` is the first word of the header, behind FXSAVE's part.)
pub fn keep_features(area: &mut [u8], features: u64) {
    let held = u64::from_le_bytes(read(area, FXSAVE_SIZE));
    write(area, FXSAVE_SIZE, &(held & features).to_le_bytes());
}

/// The unmasked exceptions in a FXSAVE area: SSE's from MXCSR, or x87's from its status and control
/// words. Bits 0..=5: invalid, denormal, division by zero, overflow, underflow, precision.
#[must_use]
pub fn fpu_exceptions(area: &[u8], sse: bool) -> u32 {
    if sse {
        let mxcsr = u32::from_le_bytes(read(area, 24));
        mxcsr & !(mxcsr >> 7) & 0x3f
    } else {
        let (control, status) = (read(area, 0), read(area, 2));
        u32::from(u16::from_le_bytes(status) & !u16::from_le_bytes(control)) & 0x3f
    }
}

/// A marked XSAVE area in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Xstate {
    /// Bytes of it.
    pub size: u32,
    /// Components that the program says are in it.
    pub features: u64,
}

/// The signal's number as the handler's first argument.
#[must_use]
pub const fn argument(signal: Signal) -> u64 {
    signal.number() as u64
}

#[cfg(test)]
mod tests;
