//! The allocator against what can be said of it without looking inside: blocks are aligned, never
//! overlap, come from the memory given, and everything comes back.

use super::*;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use proptest::prelude::*;

struct Table(RefCell<Vec<Record>>);

impl Records for Table {
    fn get(&self, pfn: Pfn) -> Record {
        self.0.borrow()[pfn as usize]
    }

    fn set(&self, pfn: Pfn, record: Record) {
        self.0.borrow_mut()[pfn as usize] = record;
    }
}

fn table(frames: u32) -> Table {
    Table(RefCell::new(vec![Record::default(); frames as usize]))
}

#[test]
fn a_section_splits_and_merges_back() {
    let records = table(2048);
    let mut buddy = Buddy::new();
    buddy.insert(&records, 1024, 2048);
    assert_eq!(buddy.free_frames(), 1024);
    let frames: Vec<_> = core::iter::from_fn(|| buddy.alloc(&records, 0)).collect();
    assert_eq!(frames.iter().copied().collect::<BTreeSet<_>>().len(), 1024);
    for pfn in frames {
        assert_eq!(buddy.free(&records, pfn, 0), Ok(()));
    }
    assert_eq!(buddy.alloc(&records, MAX_ORDER), Some(1024));
    assert_eq!(buddy.alloc(&records, 0), None);
}

#[test]
fn wrong_frees_are_refused() {
    let records = table(1024);
    let mut buddy = Buddy::new();
    buddy.insert(&records, 512, 1024);
    let pfn = buddy.alloc(&records, 2).unwrap();
    let refused = |state| Err(BadFree { pfn, found: state });
    assert_eq!(buddy.free(&records, pfn, 1), refused(State::Used(2)));
    assert_eq!(buddy.free(&records, pfn, 2), Ok(()));
    assert!(buddy.free(&records, pfn, 2).is_err());
    assert!(buddy.free(&records, 3, 0).is_err());
}

#[test]
fn frame_zero_is_never_handed_out() {
    let records = table(1024);
    let mut buddy = Buddy::new();
    buddy.insert(&records, 0, 1024);
    assert_eq!(buddy.free_frames(), 1023);
    assert!(core::iter::from_fn(|| buddy.alloc(&records, 0)).all(|pfn| pfn != 0));
}

#[test]
fn a_split_block_comes_back_frame_by_frame() {
    let records = table(1024);
    let mut buddy = Buddy::new();
    buddy.insert(&records, 512, 1024);
    let pfn = buddy.alloc(&records, 9).unwrap();
    assert_eq!(buddy.split(&records, pfn, 9), Ok(()));
    for frame in pfn..pfn + 512 {
        assert_eq!(buddy.free(&records, frame, 0), Ok(()));
    }
    assert_eq!(buddy.alloc(&records, 9), Some(pfn));
}

proptest! {
    #[test]
    fn blocks_are_aligned_disjoint_and_all_come_back(
        ranges in prop::collection::vec((1u32..4000, 1u32..900), 1..4),
        steps in prop::collection::vec((any::<bool>(), 0u8..=MAX_ORDER, any::<prop::sample::Index>()), 1..200),
    ) {
        let records = table(8192);
        let mut buddy = Buddy::new();
        let mut given = BTreeSet::new();
        for (start, len) in ranges {
            // Parts that were given already are left out, as the boot's list of ranges does.
            for pfn in start..start + len {
                if given.insert(pfn) {
                    buddy.insert(&records, pfn, pfn + 1);
                }
            }
        }
        let total = buddy.free_frames();
        prop_assert_eq!(total as usize, given.len());
        let mut used: Vec<(u32, u8)> = Vec::new();
        for (take, order, index) in steps {
            if take || used.is_empty() {
                if let Some(pfn) = buddy.alloc(&records, order) {
                    prop_assert_eq!(pfn % (1 << order), 0);
                    for frame in pfn..pfn + (1 << order) {
                        prop_assert!(given.contains(&frame));
                        prop_assert!(!used.iter().any(|(at, order)| (*at..at + (1 << order)).contains(&frame)));
                    }
                    used.push((pfn, order));
                }
            } else {
                let (pfn, order) = used.swap_remove(index.index(used.len()));
                prop_assert_eq!(buddy.free(&records, pfn, order), Ok(()));
            }
            let out: u32 = used.iter().map(|(_, order)| 1u32 << order).sum();
            prop_assert_eq!(buddy.free_frames(), total - out);
        }
        for (pfn, order) in used {
            prop_assert_eq!(buddy.free(&records, pfn, order), Ok(()));
        }
        prop_assert_eq!(buddy.free_frames(), total);
        // Merged as far as possible: no free block's buddy is free with the same order.
        let mut out = BTreeSet::new();
        for order in (0..=MAX_ORDER).rev() {
            while let Some(pfn) = buddy.alloc(&records, order) {
                prop_assert!(!out.contains(&(pfn ^ (1 << order), order)) || order == MAX_ORDER);
                out.insert((pfn, order));
            }
        }
    }

    #[test]
    fn ranges_agree_with_a_set(
        steps in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..20), 1..40),
    ) {
        let mut ranges = Ranges::<40>::new();
        let mut model = BTreeSet::new();
        for (add, start, len) in steps {
            if add {
                ranges.add(start, start + len).unwrap();
                model.extend(start..start + len);
            } else {
                ranges.remove(start, start + len).unwrap();
                model.retain(|byte| !(start..start + len).contains(byte));
            }
            let bytes: BTreeSet<u64> =
                ranges.as_slice().iter().flat_map(|(start, end)| *start..*end).collect();
            prop_assert_eq!(&bytes, &model);
            prop_assert_eq!(ranges.total(), model.len() as u64);
            prop_assert!(ranges.as_slice().windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }

    #[test]
    fn sections_cover_everything_once(start in 0u64..5000, len in 1u64..5000) {
        let mut ranges = Ranges::<4>::new();
        ranges.add(start, start + len).unwrap();
        let mut at = start;
        while let Some((from, to)) = ranges.take_section(1024) {
            prop_assert_eq!(from, at);
            prop_assert!(to > from && to - from <= 1024 && (from / 1024) == (to - 1) / 1024);
            at = to;
        }
        prop_assert_eq!(at, start + len);
    }
}

#[test]
fn a_full_list_stays_as_it_was() {
    let mut ranges = Ranges::<2>::new();
    ranges.add(0, 10).unwrap();
    ranges.add(20, 30).unwrap();
    assert_eq!(ranges.add(40, 50), Err(TooManyRanges));
    assert_eq!(ranges.remove(4, 6), Err(TooManyRanges));
    assert_eq!(ranges.as_slice(), [(0, 10), (20, 30)]);
    assert_eq!(ranges.take(8), Some(0));
    assert_eq!(ranges.take(16), None);
}

#[test]
fn a_block_is_seen_in_a_list_of_frames() {
    let block: Vec<Pfn> = (32..48).collect();
    assert!(begins_with_block(&block, 4) && begins_with_block(&block, 3));
    assert!(begins_with_block(&[8], 0) && !begins_with_block(&[], 0));
    assert!(!begins_with_block(&block[..15], 4), "one is missing");
    assert!(!begins_with_block(&block[1..], 3), "not aligned");
    let falling: Vec<Pfn> = block.iter().rev().copied().collect();
    assert!(!begins_with_block(&falling, 4));
}
