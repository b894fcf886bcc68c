//! Block maps of ext2 and ext3: twelve direct pointers, then one, two and three levels of blocks
//! of pointers.

use super::Ext4;
use super::buffer::Kind;
use super::bytes::get32;
use super::device::Device;
use super::error::{Error, Result};
use super::inode::Inode;
use super::map::{Mapping, State};
use crate::num::{u64_of, usize_of32};

pub(super) const DIRECT: u32 = 12;

/// The way to a block: index in `i_block`, then in each block of pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) indices: [u32; 4],
    /// Blocks of pointers on the way: 0 to 3.
    pub(super) levels: usize,
}

impl Route {
    /// The route to `block` where a block holds `1 << bits` pointers; `None` beyond the last.
    pub(super) fn to(block: u32, bits: u32) -> Option<Self> {
        let per = 1u64 << bits;
        let low = |value: u64| crate::num::low32(value & (per - 1));
        let mut rest = u64::from(block);
        if rest < u64::from(DIRECT) {
            return Some(Self {
                indices: [block, 0, 0, 0],
                levels: 0,
            });
        }
        rest -= u64::from(DIRECT);
        if rest < per {
            return Some(Self {
                indices: [12, low(rest), 0, 0],
                levels: 1,
            });
        }
        rest -= per;
        if rest < per * per {
            return Some(Self {
                indices: [13, low(rest >> bits), low(rest), 0],
                levels: 2,
            });
        }
        rest -= per * per;
        (rest < per * per * per).then(|| Self {
            indices: [14, low(rest >> (2 * bits)), low(rest >> bits), low(rest)],
            levels: 3,
        })
    }

    /// The number of blocks that all fifteen pointers of an inode reach.
    fn reach(bits: u32) -> u64 {
        let per = 1u64 << bits;
        u64::from(DIRECT) + per + per * per + per * per * per
    }

    pub(super) fn index(&self, level: usize) -> usize {
        self.indices
            .get(level)
            .map_or(0, |index| usize_of32(*index))
    }

    /// Blocks that one empty pointer at `level` leaves out, from the route's block on.
    fn skipped(&self, level: usize, bits: u32) -> u32 {
        let mut span = 1u32;
        let mut into = 0u32;
        for below in (level + 1..=self.levels).rev() {
            into += self.indices.get(below).copied().unwrap_or(0) * span;
            span = span.saturating_mul(1 << bits);
        }
        span.saturating_sub(into).max(1)
    }
}

impl<D: Device> Ext4<D> {
    pub(super) fn pointer_bits(&self) -> u32 {
        self.sup.block_bits - 2
    }

    /// Pointer `index` of `node`: a block of pointers, or the inode when `node` is 0.
    pub(super) fn pointer(&mut self, inode: &Inode, node: u64, index: usize) -> Result<u64> {
        let value = if node == 0 {
            get32(&inode.block, index * 4)?
        } else {
            let slot = self.block(node, Kind::Plain)?;
            get32(self.cache.data(slot), index * 4)?
        };
        let block = u64::from(value);
        if value != 0 && !self.sup.has_block(block) {
            return Err(Error::Corrupt("block pointer"));
        }
        Ok(block)
    }

    pub(super) fn map_indirect(&mut self, inode: &Inode, block: u32, most: u32) -> Result<Mapping> {
        let bits = self.pointer_bits();
        let Some(route) = Route::to(block, bits) else {
            return Ok(Mapping {
                state: State::Hole,
                start: 0,
                length: most,
            });
        };
        let mut node = 0;
        for level in 0..route.levels {
            let below = self.pointer(inode, node, route.index(level))?;
            if below == 0 {
                let length = route.skipped(level, bits).min(most);
                return Ok(Mapping {
                    state: State::Hole,
                    start: 0,
                    length,
                });
            }
            node = below;
        }
        self.map_pointers(inode, node, route.index(route.levels), most)
    }

    /// The block after the last that the file has a pointer to.
    pub(super) fn indirect_limit(&mut self, inode: &Inode) -> Result<u64> {
        let bits = self.pointer_bits();
        let mut first = Route::reach(bits);
        for index in (0..15usize).rev() {
            let levels = u32::try_from(index.saturating_sub(11)).unwrap_or(0);
            first -= 1u64 << (bits * levels);
            let mut node = self.pointer(inode, 0, index)?;
            if node == 0 {
                continue;
            }
            let mut last = first;
            for level in (0..levels).rev() {
                let Some((index, below)) = self.last_pointer(inode, node)? else {
                    break;
                };
                last += u64_of(index) << (bits * level);
                node = below;
            }
            return Ok(last + 1);
        }
        Ok(0)
    }

    fn last_pointer(&mut self, inode: &Inode, node: u64) -> Result<Option<(usize, u64)>> {
        for index in (0..1usize << self.pointer_bits()).rev() {
            let below = self.pointer(inode, node, index)?;
            if below != 0 {
                return Ok(Some((index, below)));
            }
        }
        Ok(None)
    }

    /// The run of pointers in one node that point to neighbours, or to nothing.
    fn map_pointers(
        &mut self,
        inode: &Inode,
        node: u64,
        index: usize,
        most: u32,
    ) -> Result<Mapping> {
        let end = if node == 0 {
            usize_of32(DIRECT)
        } else {
            1 << self.pointer_bits()
        };
        let start = self.pointer(inode, node, index)?;
        let mut length = 1;
        while length < most && index + usize_of32(length) < end {
            let next = self.pointer(inode, node, index + usize_of32(length))?;
            let wanted = if start == 0 {
                0
            } else {
                start + u64::from(length)
            };
            if next != wanted {
                break;
            }
            length += 1;
        }
        let state = if start == 0 {
            State::Hole
        } else {
            State::Written
        };
        Ok(Mapping {
            state,
            start,
            length,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let indices = |block| Route::to(block, 8).map(|r| (r.levels, r.indices));
        assert_eq!(indices(11), Some((0, [11, 0, 0, 0])));
        assert_eq!(indices(12), Some((1, [12, 0, 0, 0])));
        assert_eq!(indices(12 + 256), Some((2, [13, 0, 0, 0])));
        assert_eq!(indices(12 + 256 + 65536), Some((3, [14, 0, 0, 0])));
        assert_eq!(indices(12 + 256 + 65536 + (1 << 24)), None);
    }

    #[test]
    fn empty_pointers_leave_out_the_rest_of_their_span() {
        let route = Route::to(12 + 256 + 256 + 3, 8).unwrap();
        assert_eq!(route.skipped(0, 8), 65536 - 256 - 3);
        assert_eq!(route.skipped(1, 8), 253);
    }
}
