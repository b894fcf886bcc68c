//! The index against a model: one record for every page.
use super::*;
use alloc::vec::Vec;
use proptest::prelude::*;
use std::collections::BTreeMap as Model;

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, bool),
    Loaded(u64),
    Remove(u64),
    RemoveRange(u64, u64),
    Dirty(u64),
    Begin(u64),
    Finish(u64),
    Touch(u64),
    Evict(u64),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Page {
    loading: bool,
    dirty: bool,
    writeback: bool,
    touched: bool,
    hot: bool,
}

const PAGES: u64 = 70;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let p = 0..PAGES;
    proptest::collection::vec(
        prop_oneof![
            4 => (p.clone(), any::<bool>()).prop_map(|(i, l)| Step::Insert(i, l)),
            1 => p.clone().prop_map(Step::Loaded),
            1 => p.clone().prop_map(Step::Remove),
            1 => (p.clone(), 0..20u64).prop_map(|(i, n)| Step::RemoveRange(i, i + n)),
            3 => p.clone().prop_map(Step::Dirty),
            2 => p.clone().prop_map(Step::Begin),
            1 => p.clone().prop_map(Step::Finish),
            1 => p.clone().prop_map(Step::Touch),
            1 => p.prop_map(Step::Evict),
        ],
        1..120,
    )
}

fn apply(map: &mut PageMap<u64>, model: &mut Model<u64, Page>, step: &Step) {
    match *step {
        Step::Insert(i, loading) => {
            let state = if loading {
                State::Loading
            } else {
                State::Ready
            };
            let inserted = map.insert(i, i, state);
            assert_eq!(inserted.is_ok(), !model.contains_key(&i));
            model.entry(i).or_insert(Page {
                loading,
                ..Page::default()
            });
        }
        Step::Loaded(i) => {
            map.finish_loading(i);
            if let Some(page) = model.get_mut(&i) {
                page.loading = false;
            }
        }
        Step::Remove(i) => assert_eq!(map.remove(i).is_some(), model.remove(&i).is_some()),
        Step::RemoveRange(a, b) => {
            let mut gone = Vec::new();
            let clear = map.remove_range(a..b, |page| gone.push(page));
            let busy = |p: &Page| p.loading || p.writeback;
            let inside: Vec<u64> = model.range(a..b).map(|(i, _)| *i).collect();
            let (stay, go): (Vec<u64>, Vec<u64>) = inside.iter().partition(|i| busy(&model[i]));
            assert_eq!((clear, gone), (stay.is_empty(), go.clone()));
            model.retain(|i, _| !go.contains(i));
        }
        Step::Dirty(i) => {
            let page = model.get_mut(&i);
            assert_eq!(map.set_dirty(i), page.as_ref().is_some_and(|p| !p.dirty));
            if let Some(page) = page {
                page.dirty = true;
            }
        }
        Step::Begin(i) => {
            let page = model.get_mut(&i).filter(|p| p.dirty && !p.writeback);
            assert_eq!(map.begin_writeback(i).is_some(), page.is_some());
            if let Some(page) = page {
                (page.dirty, page.writeback) = (false, true);
            }
        }
        Step::Finish(i) => {
            map.finish_writeback(i);
            if let Some(page) = model.get_mut(&i) {
                page.writeback = false;
            }
        }
        Step::Touch(i) => {
            map.touch(i);
            if let Some(page) = model.get_mut(&i) {
                page.hot |= page.touched;
                page.touched = true;
            }
        }
        Step::Evict(hand) => {
            let mut gone = Vec::new();
            let start = hand / CHUNK_PAGES * CHUNK_PAGES;
            let next = map.evict(
                hand,
                usize::MAX,
                |page| page % 3 != 0,
                |page| gone.push(page),
            );
            assert_eq!(next, None);
            let mut expected = Vec::new();
            for (i, page) in model.range_mut(start..) {
                let stays = page.loading || page.dirty || page.writeback || page.hot || i % 3 == 0;
                page.hot = false;
                if !stays {
                    expected.push(*i);
                }
            }
            model.retain(|i, _| !expected.contains(i));
            assert_eq!(gone, expected);
        }
    }
}

fn naive_dirty(model: &Model<u64, Page>, range: Range<u64>, max: u64) -> Option<Range<u64>> {
    let writable =
        |i: u64| range.contains(&i) && model.get(&i).is_some_and(|p| p.dirty && !p.writeback);
    let first = range.clone().find(|i| writable(*i))?;
    let mut end = first + 1;
    while end - first < max && writable(end) {
        end += 1;
    }
    Some(first..end)
}

proptest! {
    #[test]
    fn behaves_like_a_table(steps in steps(), a in 0..PAGES, len in 0..PAGES, max in 1..40u64) {
        let mut map = PageMap::new();
        let mut model = Model::new();
        for step in &steps {
            apply(&mut map, &mut model, step);
            prop_assert_eq!(map.len(), model.len());
            prop_assert_eq!(map.dirty(), model.values().filter(|p| p.dirty).count());
            prop_assert_eq!(map.under_writeback(), model.values().filter(|p| p.writeback).count());
        }
        let range = a..a + len;
        for i in 0..PAGES {
            let state = map.get(i).map(|(page, state)| (*page, state == State::Loading));
            prop_assert_eq!(state, model.get(&i).map(|p| (i, p.loading)));
            prop_assert_eq!(map.is_dirty(i), model.get(&i).is_some_and(|p| p.dirty));
            prop_assert_eq!(map.next_present(i), model.range(i..).next().map(|(i, _)| *i));
            prop_assert_eq!(map.next_missing(i), (i..).find(|i| !model.contains_key(i)).unwrap());
        }
        let run = (a..a + max).take_while(|i| !model.contains_key(i)).count() as u64;
        prop_assert_eq!(map.missing_run(a, max), run);
        prop_assert_eq!(map.next_dirty(range.clone(), max), naive_dirty(&model, range.clone(), max));
        let mut inside = range.clone().filter_map(|i| model.get(&i));
        prop_assert_eq!(map.any_writeback(range.clone()), inside.clone().any(|p| p.writeback));
        prop_assert_eq!(map.any_unwritten(range.clone()), inside.any(|p| p.writeback || p.dirty));
        let mut ready = Vec::new();
        map.for_ready(range.clone(), |base, slots, bits| {
            let marked = (0..16u64).filter(|slot| bits >> slot & 1 != 0);
            ready.extend(marked.filter_map(|slot| Some((base + slot, slots[slot as usize]?))));
            true
        });
        let expected: Vec<_> = range.filter(|i| model.get(i).is_some_and(|p| !p.loading)).map(|i| (i, i)).collect();
        prop_assert_eq!(ready, expected);
    }
}

#[test]
fn a_chunk_costs_what_is_charged_for_it() {
    assert!(size_of::<Chunk<core::num::NonZeroU64>>() <= CHUNK_BYTES - 64);
}
