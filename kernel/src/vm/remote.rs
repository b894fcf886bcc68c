//! A program's memory seen by somebody else: `/proc/PID/cmdline` and `mem`, `process_vm_readv`.
//!
//! Unlike the copies of `copy`, these work on any space, through its tables and the frames
//! themselves.

use alloc::sync::Arc;

use kiln_core::addr::UserAddr;

use super::copy::advance;
use super::fault::{Access, rest_of_page};
use super::space::AddressSpace;
use crate::mm::frame::FrameRef;

impl AddressSpace {
    /// Copies from any program's memory as far as it goes; the bytes copied.
    pub(crate) fn peek(self: &Arc<Self>, into: &mut [u8], from: UserAddr) -> usize {
        let mut done = 0;
        while done < into.len() {
            let at = advance(from, done);
            let len = rest_of_page(at).min(into.len() - done);
            let Some(frame) = self.frame_at(at, Access::Read) else {
                break;
            };
            let part = into.get_mut(done..done + len).unwrap_or_default();
            frame.read(at.page_offset(), part);
            done += len;
        }
        done
    }

    /// Copies to any program's memory as far as it may be written; the bytes copied.
    pub(crate) fn poke(self: &Arc<Self>, to: UserAddr, from: &[u8]) -> usize {
        let mut done = 0;
        while done < from.len() {
            let at = advance(to, done);
            let len = rest_of_page(at).min(from.len() - done);
            let Some(frame) = self.frame_at(at, Access::Write) else {
                break;
            };
            frame.write(
                at.page_offset(),
                from.get(done..done + len).unwrap_or_default(),
            );
            done += len;
        }
        done
    }

    /// The frame at an address, brought in as the access needs it.
    fn frame_at(self: &Arc<Self>, at: UserAddr, access: Access) -> Option<FrameRef> {
        loop {
            self.fault(at, access).ok()?;
            // It may have gone again already.
            let mapped = self.tables.lock().lookup(at.page_base());
            if let Some(mapped) = mapped {
                return Some(mapped.frame);
            }
        }
    }
}
