//! What is sent back to the terminal for what was typed.

use super::{Effect, Line};
use crate::abi;
use crate::num::low8;

impl Line {
    pub(super) fn reprint(&mut self, byte: u8, sink: &mut dyn FnMut(Effect<'_>)) {
        self.finish_erasing(sink);
        self.echo(byte, sink);
        self.post(b"\n", sink);
        for index in self.readable..self.cells.len() {
            let cell = self.cells.get(index).copied().unwrap_or(0);
            self.echo(low8(cell.into()), sink);
        }
    }

    pub(super) fn finish_erasing(&mut self, sink: &mut dyn FnMut(Effect<'_>)) {
        if core::mem::take(&mut self.erasing) {
            self.post(b"/", sink);
        }
    }

    /// Remembers the column, when the line being typed begins.
    pub(super) fn begin_line_echo(&mut self) {
        if self.cells.len() <= self.readable {
            self.cursor.line_start = self.cursor.column;
        }
    }

    /// Shows a typed byte, a control character as `^X`.
    pub(super) fn echo(&mut self, byte: u8, sink: &mut dyn FnMut(Effect<'_>)) {
        if self.termios.local(abi::ECHOCTL) && byte.is_ascii_control() && byte != b'\t' {
            self.raw(&[b'^', byte ^ 0x40], sink);
            self.cursor.column = self.cursor.column.saturating_add(2);
        } else if byte == 0xFF {
            // Linux's echo buffer has a use of its own for this one.
            self.raw(&[byte], sink);
            self.cursor.column = self.cursor.column.saturating_add(1);
        } else {
            self.post(&[byte], sink);
        }
    }

    /// Sends bytes as if a program wrote them.
    pub(super) fn post(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Effect<'_>)) {
        for byte in bytes {
            let cursor = &mut self.cursor;
            cursor.put(&self.termios, *byte, &mut |bytes| sink(Effect::Echo(bytes)));
        }
    }

    pub(super) fn raw(&self, bytes: &[u8], sink: &mut dyn FnMut(Effect<'_>)) {
        sink(Effect::Echo(bytes));
    }
}
