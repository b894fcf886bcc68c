//! Changing stacks: the one step of a thread switch that Rust can't say.

use core::arch::naked_asm;
use core::sync::atomic::AtomicU64;
use kiln_core::num::usize_of;

/// Goes on in `main` on the stack that ends at `top`, for good.
///
/// # Safety
/// `top` is aligned to 16 and the end of a mapped stack that nobody else uses.
#[unsafe(naked)]
pub(super) unsafe extern "sysv64" fn enter_stack(top: u64, main: extern "sysv64" fn() -> !) -> ! {
    // A zero return address: nobody called.
    naked_asm!("mov rsp, rdi", "push 0", "jmp rsi")
}

/// Lays out a new thread's stack, which ends at `top`, so that the first [`switch`] to the result
/// goes on in `entry`, with interrupts off.
///
/// `top` is `KernelStack::top`'s. The result is for `switch`, once, while the stack lives.
pub(crate) fn prepare(top: u64, entry: fn() -> !) -> u64 {
    let frame = [
        entry as usize as u64, // R15
        0,
        0,
        0,
        0, // RBX
        0, // RBP
        start as *const () as u64,
        0, // the return address of `start`, which doesn't return
    ];
    let at = top - size_of_val(&frame) as u64;
    let pointer = core::ptr::with_exposed_provenance_mut::<[u64; 8]>(usize_of(at));
    // SAFETY: the highest words of a stack that nothing runs on yet.
    unsafe { pointer.write(frame) };
    at
}

#[unsafe(naked)]
extern "sysv64" fn start() -> ! {
    naked_asm!("mov rdi, r15", "jmp {}", sym call)
}

#[expect(
    improper_ctypes_definitions,
    reason = "a function pointer is one word in any ABI here"
)]
extern "sysv64" fn call(entry: fn() -> !) -> ! {
    entry()
}

/// Stops here: the stack pointer goes to `save`. Goes on where `next`, from [`prepare`] or an earlier
/// `save`, stopped. Returns when some other thread switches to what went to `save`.
///
/// For the scheduler, which alone knows that `next`'s stack lives, that nobody else runs on it, and
/// that each value is used once. Interrupts must be off.
pub(crate) fn switch(save: &AtomicU64, next: u64) {
    // SAFETY: as said above; the callee-saved registers are on the stack that is left.
    unsafe { switch_stacks(save.as_ptr(), next) };
}

#[unsafe(naked)]
unsafe extern "sysv64" fn switch_stacks(save: *mut u64, next: u64) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}
