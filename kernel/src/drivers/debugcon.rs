//! QEMU's debug console at port 0xE9: the status record's way out.

use crate::arch::port;

const PORT: u16 = 0xE9;

/// Writes `bytes`, in one go.
pub(crate) fn write(bytes: &[u8]) {
    port::write_bytes(PORT, bytes);
}
