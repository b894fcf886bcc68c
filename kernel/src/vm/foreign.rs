//! Memory of an address space that isn't the running one: for `/proc/PID/cmdline` and its kin.
//!
//! Pages are made present as the program's own access would, and copied through their frames.

use alloc::sync::Arc;

use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::num::u64_of;

use super::fault::Access;
use super::space::AddressSpace;

/// Tries to find a page that was just made present before giving up: another CPU, or reclaim, may
/// take it away in between.
const TRIES: usize = 4;

impl AddressSpace {
    /// Copies from `src` as far as memory goes; the bytes copied.
    pub(crate) fn peek(self: &Arc<Self>, dst: &mut [u8], src: UserAddr) -> usize {
        let mut done = 0;
        while done < dst.len() {
            let Some(addr) = src.checked_add(u64_of(done)) else { break };
            let offset = addr.page_offset();
            let len = (PAGE_SIZE - offset).min(dst.len() - done);
            let Some(part) = dst.get_mut(done..done + len) else { break };
            if !self.peek_page(addr, offset, part) {
                break;
            }
            done += len;
        }
        done
    }

    fn peek_page(self: &Arc<Self>, addr: UserAddr, offset: usize, part: &mut [u8]) -> bool {
        for _ in 0..TRIES {
            let mapped = self.tables.lock().lookup(addr.page_base());
            if let Some(mapped) = mapped {
                mapped.frame.read(offset, part);
                return true;
            }
            if !addr.range_is_user(part.len()) || self.fault(addr, Access::Read).is_err() {
                return false;
            }
        }
        false
    }
}
