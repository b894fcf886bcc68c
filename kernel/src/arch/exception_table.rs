//! Kernel instructions that may fault on values a program chose, and where to go on when they do.
//!
//! The assembly beside such an instruction adds a pair of addresses to the section `.ex_table`
//! (`linker.ld` gathers it): user copies, IRETQ, XRSTOR, WRFSBASE and WRGSBASE.

/// One pair. Addresses, not offsets: the kernel is linked at a fixed place.
#[repr(C)]
struct Entry {
    fault: u64,
    fixup: u64,
}

unsafe extern "C" {
    static exception_table_start: [Entry; 0];
    static exception_table_end: [Entry; 0];
}

fn table() -> &'static [Entry] {
    let start = (&raw const exception_table_start).cast::<Entry>();
    let end = (&raw const exception_table_end).cast::<Entry>();
    // SAFETY: the linker script puts both symbols round an aligned array of pairs in read-only
    // memory.
    unsafe { core::slice::from_raw_parts(start, end.offset_from_unsigned(start)) }
}

/// Where the instruction at `rip` wants to go on after a fault.
pub(super) fn fixup(rip: u64) -> Option<u64> {
    table()
        .iter()
        .find(|entry| entry.fault == rip)
        .map(|entry| entry.fixup)
}
