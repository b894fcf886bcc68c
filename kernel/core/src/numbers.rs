//! [`Numbers`]: values by small numbers, such as process numbers.
//!
//! Numbers are given out in ascending order and mostly given back soon, so the table is a list of
//! blocks of which those without a value take no memory but their place in the list. Finding a value
//! is two indexings; going through all of them is in ascending order.

use alloc::vec::Vec;

use crate::errno::Errno;
use crate::num::usize_of32;

/// Values in a block.
const BLOCK: usize = 16;

/// A block; without values it has no slots either.
struct Block<V> {
    slots: Vec<Option<V>>,
    used: usize,
}

impl<V> Block<V> {
    const EMPTY: Self = Self {
        slots: Vec::new(),
        used: 0,
    };

    fn fill(&mut self) -> Result<(), Errno> {
        if self.slots.is_empty() {
            self.slots
                .try_reserve_exact(BLOCK)
                .map_err(|_| Errno::ENOMEM)?;
            self.slots.resize_with(BLOCK, || None);
        }
        Ok(())
    }
}

/// Values by number.
pub struct Numbers<V> {
    blocks: Vec<Block<V>>,
}

impl<V> Default for Numbers<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Numbers<V> {
    /// Without values.
    #[must_use]
    pub const fn new() -> Self {
        Self { blocks: Vec::new() }
    }

    /// The value of a number.
    #[must_use]
    #[inline]
    pub fn get(&self, number: u32) -> Option<&V> {
        let number = usize_of32(number);
        let block = self.blocks.get(number / BLOCK)?;
        block.slots.get(number % BLOCK)?.as_ref()
    }

    /// The value of a number, to be changed.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut V> {
        let number = usize_of32(number);
        let block = self.blocks.get_mut(number / BLOCK)?;
        block.slots.get_mut(number % BLOCK)?.as_mut()
    }

    /// The value of a number, which is made when there is none. The table takes memory in proportion to
    /// the highest number.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn get_or_make(&mut self, number: u32, make: impl FnOnce() -> V) -> Result<&mut V, Errno> {
        let number = usize_of32(number);
        let at = number / BLOCK;
        if at >= self.blocks.len() {
            let more = at + 1 - self.blocks.len();
            self.blocks.try_reserve(more).map_err(|_| Errno::ENOMEM)?;
            self.blocks.resize_with(at + 1, || Block::EMPTY);
        }
        let block = self.blocks.get_mut(at).ok_or(Errno::ENOMEM)?;
        block.fill()?;
        let slot = block.slots.get_mut(number % BLOCK).ok_or(Errno::ENOMEM)?;
        block.used += usize::from(slot.is_none());
        Ok(slot.get_or_insert_with(make))
    }

    /// Takes the value of a number out.
    pub fn remove(&mut self, number: u32) -> Option<V> {
        let number = usize_of32(number);
        let block = self.blocks.get_mut(number / BLOCK)?;
        let value = block.slots.get_mut(number % BLOCK)?.take()?;
        block.used -= 1;
        if block.used == 0 {
            *block = Block::EMPTY;
        }
        Some(value)
    }

    /// Every number that has a value, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        let slots = self.blocks.iter().zip(0u32..).flat_map(|(block, at)| {
            let first = at * crate::num::low32(BLOCK as u64);
            block.slots.iter().zip(first..)
        });
        slots.filter_map(|(slot, number)| slot.as_ref().map(|value| (number, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn is_a_map(steps in prop::collection::vec((0u32..200, 0u8..3, any::<u16>()), 0..400)) {
            let mut table = Numbers::new();
            let mut model = BTreeMap::new();
            for (number, what, value) in steps {
                match what {
                    0 => prop_assert_eq!(table.remove(number), model.remove(&number)),
                    1 => {
                        let found = *table.get_or_make(number, || value).unwrap();
                        prop_assert_eq!(found, *model.entry(number).or_insert(value));
                    }
                    _ => prop_assert_eq!(table.get_mut(number), model.get_mut(&number)),
                }
                prop_assert_eq!(table.get(number), model.get(&number));
            }
            let listed: Vec<_> = table.iter().map(|(number, value)| (number, *value)).collect();
            prop_assert_eq!(listed, model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn empty_blocks_are_given_back() {
        let mut table = Numbers::new();
        for number in 0..1000 {
            table.get_or_make(number, || number).unwrap();
        }
        for number in 0..1000 {
            table.remove(number);
        }
        assert!(table.blocks.iter().all(|block| block.slots.capacity() == 0));
    }
}
