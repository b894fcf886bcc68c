//! Little-endian fields of a structure in physical memory.

use crate::{Error, PhysMemory};

/// The bytes of one structure.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The structure `what`: `len` bytes at `addr`.
    pub(crate) fn at(
        memory: &'a impl PhysMemory,
        what: &'static str,
        addr: u64,
        len: usize,
    ) -> Result<Self, Error> {
        memory
            .bytes(addr, len)
            .map(Self)
            .ok_or(Error::Unreadable(what, addr))
    }

    fn array<const N: usize>(&self, offset: usize) -> [u8; N] {
        // Offsets are constants below the structure's length, so the fallback is never taken.
        let field = self.0.get(offset..offset + N);
        field
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or([0; N])
    }

    pub(crate) fn u8(&self, offset: usize) -> u8 {
        u8::from_le_bytes(self.array(offset))
    }

    // One copy each: they are met once, at boot, where code that is new costs most.
    #[inline(never)]
    pub(crate) fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.array(offset))
    }

    #[inline(never)]
    pub(crate) fn u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.array(offset))
    }
}

/// The entries of the array `what`: `count` of `len` bytes each, at `addr`.
pub(crate) fn entries<'a>(
    memory: &'a impl PhysMemory,
    what: &'static str,
    addr: u64,
    count: u32,
    len: usize,
) -> Result<impl Iterator<Item = Reader<'a>>, Error> {
    // Far above any count that is taken over, and small enough that the product can't overflow.
    const SANE: u32 = 4096;
    if count > SANE {
        return Err(Error::TooMany(what, count));
    }
    let bytes = match count {
        0 => &[][..],
        _ => Reader::at(memory, what, addr, len * count as usize)?.0,
    };
    Ok(bytes.chunks_exact(len).map(Reader))
}
