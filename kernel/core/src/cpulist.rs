//! Sets of processors as text, as Linux writes them: [`List`] `0-2,5`, [`Map`] `27`.

use core::fmt;

/// The processors of a mask, one by one and in ranges.
#[derive(Clone, Copy, Debug)]
pub struct List(pub u64);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = |id: u32| self.0.checked_shr(id).unwrap_or(0) & 1 != 0;
        let mut comma = "";
        for first in (0..u64::BITS).filter(|id| has(*id) && (*id == 0 || !has(*id - 1))) {
            write!(f, "{comma}{first}")?;
            let last = (first..u64::BITS).take_while(|id| has(*id)).last();
            if let Some(last) = last.filter(|last| *last > first) {
                write!(f, "-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

/// A mask of processors, of whom there can be `count`, in groups of 32.
#[derive(Clone, Copy, Debug)]
pub struct Map {
    /// The processors.
    pub mask: u64,
    /// How many there are.
    pub count: u32,
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, low) = (self.mask >> 32, self.mask & u64::from(u32::MAX));
        let digits = |count: u32| crate::num::usize_of32(count.div_ceil(4));
        if self.count > 32 {
            write!(
                f,
                "{high:0width$x},{low:08x}",
                width = digits(self.count - 32)
            )
        } else {
            write!(f, "{low:0width$x}", width = digits(self.count))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn lists() {
        for (mask, text) in [
            (0, ""),
            (1, "0"),
            (0b10_0111, "0-2,5"),
            (0b1010, "1,3"),
            (1 << 63 | 1 << 62, "62-63"),
            (u64::MAX, "0-63"),
        ] {
            assert_eq!(format!("{}", List(mask)), text);
        }
    }

    #[test]
    fn maps() {
        let text = |mask, count| format!("{}", Map { mask, count });
        assert_eq!(text(1, 1), "1");
        assert_eq!(text(1, 8), "01");
        assert_eq!(text(3, 36), "0,00000003");
        assert_eq!(text(1 << 33, 64), "00000002,00000000");
    }
}
