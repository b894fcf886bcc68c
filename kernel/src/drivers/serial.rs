//! COM1, for kernel messages when they are asked for. Every byte is an exit from the VM, so without
//! `verbose` nothing is sent.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::arch::port;

const PORT: u16 = 0x3F8;
const LINE_STATUS: u16 = PORT + 5;
/// Transmitter holding register empty.
const READY: u8 = 1 << 5;
/// Reads of the line status before a byte is given up: a port that isn't there must not hang us.
const PATIENCE: u32 = 100_000;

static ENABLED: AtomicBool = AtomicBool::new(false);

/// Sets the port to 115200 baud, 8 bits, no parity, with FIFOs, and lets messages out from now on.
pub(crate) fn enable() {
    const SETUP: [(u16, u8); 7] = [
        (PORT + 1, 0x00), // no interrupts
        (PORT + 3, 0x80), // divisor latch
        (PORT, 0x01),
        (PORT + 1, 0x00),
        (PORT + 3, 0x03), // 8N1
        (PORT + 2, 0x07), // FIFOs on and empty
        (PORT + 4, 0x03), // DTR, RTS
    ];
    for (port, value) in SETUP {
        port::write_u8(port, value);
    }
    ENABLED.store(true, Ordering::Relaxed);
}

/// Whether messages are sent.
pub(crate) fn enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// Sends `bytes`, with a carriage return before each line feed.
pub(crate) fn write(bytes: &[u8]) {
    if !enabled() {
        return;
    }
    for &byte in bytes {
        if byte == b'\n' {
            send(b'\r');
        }
        send(byte);
    }
}

fn send(byte: u8) {
    for _ in 0..PATIENCE {
        if port::read_u8(LINE_STATUS) & READY != 0 {
            break;
        }
    }
    port::write_u8(PORT, byte);
}

/// For `write!`.
pub(crate) struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text.as_bytes());
        Ok(())
    }
}
