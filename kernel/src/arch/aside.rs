//! [`aside`]: a call that leaves its caller all registers.
//!
//! For what happens seldom in the middle of what happens often: a lock that is taken, a queue that somebody
//! sleeps in. An ordinary call there makes the caller keep its values on the stack for the seldom case, and
//! pay for it each time.

use core::arch::naked_asm;

/// What is done aside for a `Self`.
pub(crate) trait Aside: Sized {
    /// Does it.
    extern "C" fn aside(&self);
}

/// Calls `T::aside`. The caller keeps its registers, so that it costs nothing where it isn't called.
#[inline(always)]
pub(crate) fn aside<T: Aside>(this: &T) {
    // SAFETY: the thunk calls a function of the C ABI with its argument in RDI, with a stack aligned for a call
    // (there is no `nostack`), and gives back every register. The argument lives as long as the call.
    unsafe {
        core::arch::asm!(
            "call {thunk}",
            thunk = sym thunk::<T>,
            in("rdi") core::ptr::from_ref(this),
        );
    }
}

/// Keeps the registers that a function of the C ABI may change around `T::aside`. The kernel is soft-float, so
/// there are no others.
#[unsafe(naked)]
extern "C" fn thunk<T: Aside>(this: &T) {
    naked_asm!(
        "push rax",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        // With these nine and the return address it is aligned to 16.
        "call {aside}",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "ret",
        aside = sym T::aside,
    )
}
