//! Where things lie: the arithmetic of groups, descriptors and inodes, from the superblock's numbers.

use super::bytes::{get16, get32};
use super::superblock::{Compat, Incompat, RoCompat, Super};
use crate::num::{low32, u64_of};

impl Super {
    pub(super) fn is_wide(&self) -> bool {
        self.incompat.contains(Incompat::BITS64)
    }

    pub(super) fn has_csum(&self) -> bool {
        self.ro_compat.contains(RoCompat::METADATA_CSUM)
    }

    /// Whether group descriptors carry a checksum, and so uninitialised groups may exist.
    pub(super) fn has_group_csum(&self) -> bool {
        self.ro_compat
            .intersects(RoCompat::METADATA_CSUM | RoCompat::GDT_CSUM)
    }

    /// Whether every feature is known that a writer has to keep up.
    pub(super) fn is_writable(&self) -> bool {
        RoCompat::all().contains(self.ro_compat)
    }

    /// Whether ext2 or ext3 could mount it, as Linux's ext4 asks when it stands in for them; 4: always.
    pub(super) fn is_of(&self, generation: u8, read_only: bool) -> bool {
        let ro_compat = RoCompat::SPARSE_SUPER | RoCompat::LARGE_FILE | RoCompat::BTREE_DIR;
        let incompat = Incompat::FILETYPE | Incompat::META_BG;
        let incompat = match generation {
            2 => incompat,
            3 => incompat | Incompat::RECOVER,
            _ => return true,
        };
        incompat.contains(self.incompat)
            && (read_only || ro_compat.contains(self.ro_compat))
            && (generation == 2 || self.has_journal())
    }

    /// Whether `block` can hold something other than boot code.
    pub(super) fn has_block(&self, block: u64) -> bool {
        block > self.first_data_block && block < self.blocks
    }

    /// Whether all of `length` blocks from `block` on can.
    pub(super) fn has_blocks(&self, block: u64, length: u64) -> bool {
        self.has_block(block)
            && block
                .checked_add(length)
                .is_some_and(|end| end <= self.blocks)
    }

    pub(super) fn group_first_block(&self, group: u32) -> u64 {
        self.first_data_block + u64::from(group) * u64::from(self.blocks_per_group)
    }

    /// The number of blocks in `group`: the last one may be short.
    pub(super) fn group_blocks(&self, group: u32) -> u32 {
        let rest = self.blocks.saturating_sub(self.group_first_block(group));
        low32(rest.min(u64::from(self.blocks_per_group)))
    }

    /// The group of a block, and the block's place in it.
    pub(super) fn group_of(&self, block: u64) -> (u32, u32) {
        let at = block.saturating_sub(self.first_data_block);
        let per = u64::from(self.blocks_per_group);
        (low32(at / per), low32(at % per))
    }

    /// Whether `group` begins with a copy of the superblock.
    pub(super) fn has_super(&self, group: u32) -> bool {
        if group == 0 {
            return true;
        }
        if self.compat.contains(Compat::SPARSE_SUPER2) {
            return [0x24C, 0x250]
                .iter()
                .any(|at| get32(&self.raw, *at) == Ok(group));
        }
        if group == 1 || !self.ro_compat.contains(RoCompat::SPARSE_SUPER) {
            return true;
        }
        [3, 5, 7].iter().any(|base| is_power_of(group, *base))
    }

    pub(super) fn descs_per_block(&self) -> u32 {
        low32(u64_of(self.block_size / self.desc_size))
    }

    pub(super) fn first_meta_bg(&self) -> u32 {
        get32(&self.raw, 0x104).unwrap_or(0)
    }

    /// The block that holds `group`'s descriptor.
    pub(super) fn desc_block(&self, group: u32) -> u64 {
        let index = group / self.descs_per_block();
        if !self.incompat.contains(Incompat::META_BG) || index < self.first_meta_bg() {
            return self.first_data_block + 1 + u64::from(index);
        }
        let first = index * self.descs_per_block();
        self.group_first_block(first) + u64::from(self.has_super(first))
    }

    /// Blocks at the start of `group` that hold the superblock's copy and the descriptors.
    pub(super) fn base_meta_blocks(&self, group: u32) -> u32 {
        let per = self.descs_per_block();
        let meta_bg = self.incompat.contains(Incompat::META_BG);
        let copy = self.has_super(group);
        if !meta_bg || group / per < self.first_meta_bg() {
            if !copy {
                return 0;
            }
            let table = if meta_bg {
                self.first_meta_bg()
            } else {
                self.groups.div_ceil(per)
            };
            let spare = get16(&self.raw, 0xCE).unwrap_or(0);
            return 1 + table + u32::from(spare);
        }
        let place = group % per;
        let holds = place == 0 || place == 1 || place == per - 1;
        u32::from(copy) + u32::from(holds)
    }

    /// The group that holds inode `ino`, and the inode's place in it.
    pub(super) fn inode_group(&self, ino: u32) -> (u32, u32) {
        let at = ino.wrapping_sub(1);
        (at / self.inodes_per_group, at % self.inodes_per_group)
    }
}

fn is_power_of(mut number: u32, base: u32) -> bool {
    while number > 1 && number.is_multiple_of(base) {
        number /= base;
    }
    number == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers() {
        assert!(is_power_of(3, 3) && is_power_of(27, 3) && is_power_of(49, 7));
        assert!(!is_power_of(6, 3) && !is_power_of(45, 3));
    }
}
