//! [`Plain`]: values that are read from and written to a program's memory.

use kiln_core::addr::UserAddr;

/// A value that lies in memory as its bytes, little-endian, without padding that matters.
pub(crate) trait Plain: Sized {
    /// Bytes it takes.
    const SIZE: usize;
    /// Writes it to exactly [`Plain::SIZE`] bytes.
    fn store(&self, out: &mut [u8]);
    /// Reads it from exactly [`Plain::SIZE`] bytes.
    fn load(bytes: &[u8]) -> Self;
}

macro_rules! plain_integers {
    ($($int:ty)*) => {$(
        impl Plain for $int {
            const SIZE: usize = size_of::<$int>();
            fn store(&self, out: &mut [u8]) {
                for (to, from) in out.iter_mut().zip(self.to_le_bytes()) {
                    *to = from;
                }
            }
            fn load(bytes: &[u8]) -> Self {
                let mut raw = [0; size_of::<$int>()];
                for (to, from) in raw.iter_mut().zip(bytes) {
                    *to = *from;
                }
                Self::from_le_bytes(raw)
            }
        }
    )*};
}

plain_integers!(u8 i8 u16 i16 u32 i32 u64 i64 usize isize);

impl Plain for UserAddr {
    const SIZE: usize = 8;
    fn store(&self, out: &mut [u8]) {
        self.raw().store(out);
    }
    fn load(bytes: &[u8]) -> Self {
        Self::new(u64::load(bytes))
    }
}

impl<T: Plain + Copy + Default, const N: usize> Plain for [T; N] {
    const SIZE: usize = N * T::SIZE;
    fn store(&self, out: &mut [u8]) {
        for (value, part) in self.iter().zip(out.chunks_exact_mut(T::SIZE)) {
            value.store(part);
        }
    }
    fn load(bytes: &[u8]) -> Self {
        let mut values = [T::default(); N];
        for (value, part) in values.iter_mut().zip(bytes.chunks_exact(T::SIZE)) {
            *value = T::load(part);
        }
        values
    }
}
