//! Entries of a program's own descriptor table, as modify_ldt(2) takes them (`struct user_desc`, asm/ldt.h) and as
//! the processor reads them (Intel SDM volume 3, 3.4.5).

/// Entries a table may have (`LDT_ENTRIES`).
pub const ENTRIES: u32 = 8192;
/// Bytes of an entry (`LDT_ENTRY_SIZE`).
pub const ENTRY_SIZE: usize = 8;
/// Bytes of `struct user_desc`.
pub const USER_DESC_SIZE: usize = 16;

/// `contents`: a code segment that keeps the caller's privilege.
const CONFORMING: u32 = 3;

/// A `struct user_desc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserDesc {
    /// Which entry.
    pub number: u32,
    base: u32,
    limit: u32,
    flags: u32,
}

/// What can't be an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadEntry;

impl UserDesc {
    /// From its four words.
    #[must_use]
    pub const fn new([number, base, limit, flags]: [u32; 4]) -> Self {
        Self {
            number,
            base,
            limit,
            flags,
        }
    }

    const fn has(self, bit: u32) -> bool {
        self.flags >> bit & 1 != 0
    }

    const fn contents(self) -> u32 {
        self.flags >> 1 & 3
    }

    /// The descriptor; 0 for one that makes the entry empty. `old`: as the first version of the call had it, which
    /// knew no empty entries but those of zeros, and no bit for the program's own use.
    ///
    /// # Errors
    /// [`BadEntry`] for numbers beyond the table, conforming code that is present (or old), and segments of 16 bits.
    pub const fn descriptor(self, old: bool) -> Result<u64, BadEntry> {
        let (wide, read_only, pages, absent) = (self.has(0), self.has(3), self.has(4), self.has(5));
        let conforming = self.contents() == CONFORMING && (old || !absent);
        if self.number >= ENTRIES || conforming {
            return Err(BadEntry);
        }
        let nothing = self.base == 0 && self.limit == 0;
        // Read-only, not present, and nothing else: `LDT_empty`.
        if nothing && (old || self.flags & 0xFF == 0x28) {
            return Ok(0);
        }
        if !wide {
            return Err(BadEntry);
        }
        let (base, limit) = (self.base as u64, self.limit as u64);
        // Accessed, so that the processor never writes to the table.
        let kind = 1 | (!read_only as u64) << 1 | (self.contents() as u64) << 2;
        let access = kind | 1 << 4 | 3 << 5 | (!absent as u64) << 7;
        let own_use = !old && self.has(6);
        let size = own_use as u64 | 1 << 2 | (pages as u64) << 3;
        Ok(limit & 0xFFFF
            | (base & 0xFF_FFFF) << 16
            | access << 40
            | (limit >> 16 & 0xF) << 48
            | size << 52
            | (base >> 24) << 56)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: u32 = 1;

    fn of(base: u32, limit: u32, flags: u32) -> Result<u64, BadEntry> {
        UserDesc::new([3, base, limit, flags]).descriptor(false)
    }

    #[test]
    fn flat_ones_are_the_usual() {
        // As the GDT's, but for `accessed`, which is set.
        assert_eq!(of(0, 0xF_FFFF, WIDE | 1 << 4), Ok(0x00CF_F300_0000_FFFF));
        assert_eq!(
            of(0, 0xF_FFFF, WIDE | 1 << 4 | 2 << 1),
            Ok(0x00CF_FB00_0000_FFFF)
        );
    }

    #[test]
    fn fields_lie_where_the_processor_wants_them() {
        assert_eq!(
            of(0x1234_5678, 0x9_ABCD, WIDE | 1 << 3 | 1 << 6),
            Ok(0x1259_F134_5678_ABCD)
        );
        // Not present.
        assert_eq!(of(0, 0, WIDE | 1 << 5), Ok(0x0040_7300_0000_0000));
    }

    #[test]
    fn always_a_program_s() {
        for flags in 0..256 {
            for old in [false, true] {
                let Ok(word @ 1..) = UserDesc::new([0, u32::MAX, 0, flags]).descriptor(old) else {
                    continue;
                };
                assert_eq!(word >> 44 & 7, 7, "code or data of privilege 3");
                assert_eq!(word >> 53 & 1, 0, "never 64-bit code");
            }
        }
    }

    #[test]
    fn refused_and_empty() {
        assert_eq!(of(0, 0, 0x28), Ok(0));
        assert_eq!(of(0, 0, 0x29), Ok(0x0040_7100_0000_0000));
        assert_eq!(of(0, 9, 0x28), Err(BadEntry));
        assert_eq!(of(0, 9, WIDE | 3 << 1), Err(BadEntry));
        assert!(of(0, 9, WIDE | 3 << 1 | 1 << 5).is_ok());
        assert_eq!(
            UserDesc::new([8192, 0, 9, WIDE]).descriptor(false),
            Err(BadEntry)
        );
        assert_eq!(UserDesc::new([8191, 0, 0, WIDE]).descriptor(true), Ok(0));
        assert_eq!(
            UserDesc::new([0, 0, 9, WIDE | 7 << 1 | 1 << 5]).descriptor(true),
            Err(BadEntry)
        );
    }
}
