//! The end of the VM, through QEMU's `isa-debug-exit` at port 0x501.
//!
//! QEMU's own status becomes `(value << 1) | 1`, which is never 0: a triple fault under
//! `-no-reboot` ends QEMU with 0 too, so 0 must not mean success.

use super::port;

const PORT: u16 = 0x501;

/// How it went. The job's own status travels in the record on the debug console; the launcher
/// compares the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum DebugExit {
    /// The job ended with 0.
    JobZero = 0x10,
    /// The job ended with another code.
    JobNonZero = 0x11,
    /// The job was ended by a signal.
    JobSignalled = 0x12,
    /// The kernel failed.
    KernelFailure = 0x13,
}

impl DebugExit {
    /// The one that is written as `value` (`kiln_core::report`); the kernel's failure for others.
    pub(crate) const fn from_value(value: u8) -> Self {
        match value {
            0x10 => Self::JobZero,
            0x11 => Self::JobNonZero,
            0x12 => Self::JobSignalled,
            _ => Self::KernelFailure,
        }
    }
}

/// Ends the VM.
pub(crate) fn exit(code: DebugExit) -> ! {
    port::write_u16(PORT, u16::from(code as u8));
    // The exit happens some instructions later under TCG; without the device, never.
    halt_forever()
}

/// Stops this CPU for good.
pub(crate) fn halt_forever() -> ! {
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}
