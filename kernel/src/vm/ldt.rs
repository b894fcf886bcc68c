//! The descriptor table of a space's own (modify_ldt(2)).

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::errno::Errno;
use kiln_core::num::usize_of32;

use super::space::AddressSpace;
use crate::mm::kmem;

impl AddressSpace {
    /// Sets an entry, in a copy that takes the table's place on every CPU. May sleep.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn set_descriptor(&self, number: u32, descriptor: u64) -> Result<(), Errno> {
        // One change at a time.
        let _turn = self.write_areas();
        let root = self.root();
        let old = root.ldt();
        let entries = old.as_ref().map_or(&[][..], |table| table.as_slice());
        let number = usize_of32(number);
        let len = entries.len().max(number + 1);
        let _charge = kmem::charge(len * size_of::<u64>() + size_of::<[usize; 5]>())?;
        let mut table = Vec::new();
        table.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        table.extend_from_slice(entries);
        table.resize(len, 0);
        if let Some(entry) = table.get_mut(number) {
            *entry = descriptor;
        }
        root.set_ldt(Arc::new(table));
        Ok(())
    }
}
