//! The PVH note and the way from 32-bit protected mode to the kernel's main, in `boot.S`.
//!
//! The kernel names its main with [`entry!`](crate::entry!); `boot.S` calls it in 64-bit mode, in
//! the higher half, on the stack whose end the linker symbol `boot_stack_top` names, with the
//! first [`BOOT_MAPPED`](crate::BOOT_MAPPED) bytes of memory mapped at 0 and at
//! [`KERNEL_VMA`](crate::KERNEL_VMA), interrupts off.

core::arch::global_asm!(include_str!("boot.S"), vma = const crate::KERNEL_VMA);

unsafe extern "C" {
    /// The 32-bit entry point; naming it in Rust keeps the object file that holds it and the note.
    safe fn pvh_start();
}

/// Keeps `boot.S` in the link.
#[doc(hidden)]
#[must_use]
pub fn keep() -> extern "C" fn() {
    pvh_start
}

/// Makes `$main`, an `fn(start_info: u64) -> !`, what `boot.S` calls.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[allow(unsafe_code, reason = "boot.S calls this one symbol by name")]
        #[unsafe(no_mangle)]
        extern "C" fn pvh_main(start_info: u64) -> ! {
            let main: fn(u64) -> ! = $main;
            main(start_info)
        }
    };
}
