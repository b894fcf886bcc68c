//! Calls of the routines that move memory ([`raw_copy_user`] and its like).
//!
//! In assembly as the routines are: so the compiler knows that they leave all registers alone but those few, and a
//! caller keeps its values where they are.

use core::arch::asm;

/// Two words in RAX and RDX.
pub(in crate::mm) struct Pair {
    pub(in crate::mm) value: u64,
    pub(in crate::mm) code: u64,
}

/// What `copy.rs` has in assembly.
mod routine {
    unsafe extern "C" {
        pub(super) fn raw_copy_user();
        pub(super) fn raw_zero_user();
        #[cfg(feature = "selftest")]
        pub(super) fn raw_copy_string();
        pub(super) fn raw_load_u32();
        pub(super) fn raw_compare_exchange_u32();
        pub(super) fn raw_copy();
        pub(super) fn raw_zero();
    }
}

/// Copies between a program's memory and the kernel's; the bytes that are left after a fault.
///
/// # Safety
/// The program's side lies below `TASK_SIZE`, the kernel's is the caller's to read or write.
#[inline(always)]
pub(in crate::mm) unsafe fn raw_copy_user(to: u64, from: u64, bytes: usize) -> usize {
    let left;
    // SAFETY: what the caller promises; the routine changes these registers and flags, and RDX at a fault.
    unsafe {
        asm!("call {}", sym routine::raw_copy_user,
            inout("rdi") to => _, inout("rsi") from => _, inout("rdx") bytes => _,
            out("rax") left, out("rcx") _, out("r8") _);
    }
    left
}

/// Clears a program's memory; the bytes that are left after a fault.
///
/// # Safety
/// The range lies below `TASK_SIZE`.
#[inline(always)]
pub(in crate::mm) unsafe fn raw_zero_user(to: u64, bytes: usize) -> usize {
    let left;
    // SAFETY: as in `raw_copy_user`.
    unsafe {
        asm!("call {}", sym routine::raw_zero_user,
            inout("rdi") to => _, in("rsi") bytes,
            out("rax") left, out("rcx") _, out("rdx") _, out("r8") _);
    }
    left
}

/// Copies a program's string.
///
/// # Safety
/// As for [`raw_copy_user`].
#[cfg(feature = "selftest")]
pub(in crate::mm) unsafe fn raw_copy_string(to: u64, from: u64, most: usize) -> Pair {
    let (value, code);
    // SAFETY: as in `raw_copy_user`.
    unsafe {
        asm!("call {}", sym routine::raw_copy_string,
            inout("rdi") to => _, inout("rsi") from => _, inout("rdx") most => code,
            out("rax") value, out("rcx") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    Pair { value, code }
}

/// Loads a program's word; the code is 0 unless it faulted.
///
/// # Safety
/// The word lies below `TASK_SIZE`.
#[inline(always)]
pub(in crate::mm) unsafe fn raw_load_u32(from: u64) -> Pair {
    let (value, code);
    // SAFETY: as in `raw_copy_user`.
    unsafe {
        asm!("call {}", sym routine::raw_load_u32, in("rdi") from, out("rax") value, out("rdx") code);
    }
    Pair { value, code }
}

/// Replaces a program's word if it is `expected`; what it was, and a code as above.
///
/// # Safety
/// As for [`raw_load_u32`].
#[inline(always)]
pub(in crate::mm) unsafe fn raw_compare_exchange_u32(at: u64, expected: u32, new: u32) -> Pair {
    let (value, code);
    // SAFETY: as in `raw_copy_user`.
    unsafe {
        asm!("call {}", sym routine::raw_compare_exchange_u32,
            in("rdi") at, in("esi") expected, inout("rdx") u64::from(new) => code,
            out("rax") value, out("rcx") _);
    }
    Pair { value, code }
}

/// Copies memory that doesn't fault.
///
/// # Safety
/// The ranges are the caller's to read and to write.
#[inline(always)]
pub(in crate::mm) unsafe fn raw_copy(to: u64, from: u64, bytes: usize) {
    // SAFETY: what the caller promises; the routine changes these registers and flags.
    unsafe {
        asm!("call {}", sym routine::raw_copy,
            inout("rdi") to => _, inout("rsi") from => _, in("rdx") bytes, out("rcx") _, out("r8") _);
    }
}

/// Clears memory that doesn't fault.
///
/// # Safety
/// The range is the caller's to write.
#[inline(always)]
pub(in crate::mm) unsafe fn raw_zero(to: u64, bytes: usize) {
    // SAFETY: as in `raw_copy`.
    unsafe {
        asm!("call {}", sym routine::raw_zero,
            inout("rdi") to => _, in("rsi") bytes, out("rax") _, out("rcx") _, out("r8") _);
    }
}
