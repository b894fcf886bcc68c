//! Changing stacks.

use core::arch::naked_asm;

/// Goes on in `main` on the stack that ends at `top`, for good.
///
/// # Safety
/// `top` is aligned to 16 and the end of a mapped stack that nobody else uses.
#[unsafe(naked)]
pub(super) unsafe extern "sysv64" fn enter_stack(top: u64, main: extern "sysv64" fn() -> !) -> ! {
    // A zero return address and frame pointer end backtraces.
    naked_asm!("mov rsp, rdi", "xor ebp, ebp", "push rbp", "jmp rsi")
}
