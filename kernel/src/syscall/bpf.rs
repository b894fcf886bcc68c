//! Classic BPF programs in a program's memory (`struct sock_fprog`), as seccomp(2) and setsockopt(2) take them.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::addr::UserAddr;
use kiln_core::bpf::{Instruction, MOST};
use kiln_core::errno::Errno;
use kiln_core::num::low16;

use crate::fs::memory::try_zeros;
use crate::vm::AddressSpace;

/// Bytes of a `struct sock_fprog`.
pub(super) const DESCRIPTION: usize = 16;

/// Instructions of a program whose description are these two words. `EINVAL` when there are none, or too many.
pub(super) fn len(description: [u64; 2]) -> Result<usize, Errno> {
    match usize::from(low16(description[0])) {
        len @ 1..=MOST => Ok(len),
        _ => Err(Errno::EINVAL),
    }
}

/// The program that a description tells of: how long it is, and where.
pub(super) fn read(
    space: &Arc<AddressSpace>,
    description: [u64; 2],
) -> Result<Vec<Instruction>, Errno> {
    let (len, [_, at]) = (len(description)?, description);
    let mut bytes = try_zeros(len * size_of::<Instruction>())?;
    space.copy_in(&mut bytes, UserAddr::new(at))?;
    let mut list = Vec::new();
    list.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    let (chunks, _) = bytes.as_chunks();
    list.extend(chunks.iter().copied().map(Instruction::decode));
    Ok(list)
}
