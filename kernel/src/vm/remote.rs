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
        self.peek_by(into, from, |at| self.frame_at(at, Access::Read))
    }

    /// As [`Self::peek`], for a debugger: also where the program may not read.
    pub(crate) fn peek_forced(self: &Arc<Self>, into: &mut [u8], from: UserAddr) -> usize {
        self.peek_by(into, from, |at| self.forced_frame_at(at, Access::Read))
    }

    fn peek_by(
        &self,
        into: &mut [u8],
        from: UserAddr,
        frame_at: impl Fn(UserAddr) -> Option<FrameRef>,
    ) -> usize {
        let mut done = 0;
        while done < into.len() {
            let at = advance(from, done);
            let len = rest_of_page(at).min(into.len() - done);
            let Some(frame) = frame_at(at) else {
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
        self.poke_by(to, from, |at| self.frame_at(at, Access::Write))
    }

    /// As [`Self::poke`], for a debugger: also where the program may not write, as long as the
    /// page is its own then.
    pub(crate) fn poke_forced(self: &Arc<Self>, to: UserAddr, from: &[u8]) -> usize {
        self.poke_by(to, from, |at| self.forced_frame_at(at, Access::Write))
    }

    fn poke_by(
        &self,
        to: UserAddr,
        from: &[u8],
        frame_at: impl Fn(UserAddr) -> Option<FrameRef>,
    ) -> usize {
        let mut done = 0;
        while done < from.len() {
            let at = advance(to, done);
            let len = rest_of_page(at).min(from.len() - done);
            let Some(frame) = frame_at(at) else {
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

    /// The frame at an address, whatever the program itself may do there. What is written to a
    /// private page is a copy of its own.
    fn forced_frame_at(self: &Arc<Self>, at: UserAddr, access: Access) -> Option<FrameRef> {
        if let Some(frame) = self.frame_at(at, access) {
            return Some(frame);
        }
        loop {
            self.force_fault(at, access == Access::Write).ok()?;
            let mapped = self.tables.lock().lookup(at.page_base());
            if let Some(mapped) = mapped {
                return Some(mapped.frame);
            }
        }
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
