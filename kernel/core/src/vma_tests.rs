//! The map against a model: one entry for every page.
use super::*;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

const PAGES: u64 = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Offset(u64);

impl Backing for Offset {
    fn advanced(&self, bytes: u64) -> Self {
        Self(self.0 + bytes)
    }
    fn continues(&self, bytes: u64, next: &Self) -> bool {
        self.0 + bytes == next.0
    }
    fn is_object(&self) -> bool {
        // Few are, in pieces of their own.
        (20_000..20_100).contains(&(self.0 / PAGE))
    }
}

fn area(start: u64, end: u64, prot: u32, backing: u64) -> Area<Offset> {
    Area {
        start: start * PAGE,
        end: end * PAGE,
        prot: Prot::from_bits_truncate(prot),
        flags: AreaFlags::empty(),
        backing: Offset(backing * PAGE),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u64, u32, u64),
    Remove(u64, u64),
    Protect(u64, u64, u32),
    GrowDown(u64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range = (0..PAGES, 1..12u64).prop_map(|(start, len)| (start, (start + len).min(PAGES)));
    let step = prop_oneof![
        (range.clone(), 0..4u32, 0..3u64).prop_map(|((a, b), p, f)| Step::Insert(
            a,
            b,
            p,
            a + f * 100
        )),
        range.clone().prop_map(|(a, b)| Step::Remove(a, b)),
        (range, 0..4u32).prop_map(|((a, b), p)| Step::Protect(a, b, p)),
        (0..PAGES, 1..4u64).prop_map(|(a, n)| Step::GrowDown(a, n)),
    ];
    proptest::collection::vec(step, 1..60)
}

type Model = Vec<Option<(u32, u64)>>;

fn check(map: &AreaMap<Offset>, model: &Model) {
    let mut pages: Model = vec![None; PAGES as usize];
    let mut previous: Option<&Area<Offset>> = None;
    for area in map.iter() {
        assert!(area.start < area.end);
        if let Some(previous) = previous {
            assert!(previous.end <= area.start, "overlap");
            assert!(!previous.joins(area), "not merged");
        }
        for page in area.start / PAGE..area.end / PAGE {
            let offset = area.backing.0 / PAGE + page - area.start / PAGE;
            pages[page as usize] = Some((area.prot.bits(), offset));
        }
        previous = Some(area);
    }
    assert_eq!(&pages, model);
    let used = model.iter().flatten().count() as u64;
    assert_eq!(map.total_bytes(), used * PAGE);
}

fn apply(map: &mut AreaMap<Offset>, model: &mut Model, step: &Step) {
    let span = |a: u64, b: u64| a as usize..b as usize;
    match *step {
        Step::Insert(a, b, prot, offset) => {
            let free = model[span(a, b)].iter().all(Option::is_none);
            assert_eq!(map.is_free(&(a * PAGE..b * PAGE)), free);
            let inserted = map.insert(area(a, b, prot, offset));
            assert_eq!(
                inserted,
                if free {
                    Ok(())
                } else {
                    Err(MapError::Occupied)
                }
            );
            if free {
                (a..b).for_each(|p| model[p as usize] = Some((prot, offset + p - a)));
            }
        }
        Step::Remove(a, b) => {
            let mut pages = 0;
            map.remove(&(a * PAGE..b * PAGE), |area| pages += area.size() / PAGE)
                .unwrap();
            let gone = model[span(a, b)]
                .iter_mut()
                .filter_map(Option::take)
                .count();
            assert_eq!(pages, gone as u64);
        }
        Step::Protect(a, b, prot) => {
            let prot_bits = Prot::from_bits_truncate(prot);
            map.update(&(a * PAGE..b * PAGE), |area| area.prot = prot_bits)
                .unwrap();
            let pages = model[span(a, b)].iter_mut().flatten();
            pages.for_each(|page| page.0 = prot);
        }
        Step::GrowDown(a, n) => {
            let Some(found) = map.iter().find(|area| area.start == a * PAGE).cloned() else {
                return;
            };
            let new = a.saturating_sub(n);
            let free = model[span(new, a)].iter().all(Option::is_none) && new < a;
            assert_eq!(map.grow_down(a * PAGE, new * PAGE), free);
            if free {
                // The backing of what grows is relative to its start: renumber the model.
                let base = found.backing.0 / PAGE;
                for (i, page) in (new..found.end / PAGE).enumerate() {
                    model[page as usize] = Some((found.prot.bits(), base + i as u64));
                }
            }
            // Growing may make two neighbours equal, which stay apart as on Linux: normalise.
            map.update(&(0..PAGES * PAGE), |_| {}).unwrap();
        }
    }
}

fn naive_gap(model: &Model, gap: &Gap, top_down: bool) -> Option<u64> {
    let fits = |start: u64| {
        let end = start + gap.len / PAGE;
        end <= gap.within.end / PAGE
            && (start..end).all(|p| model.get(p as usize).is_none_or(Option::is_none))
            && (start * PAGE).is_multiple_of(gap.align)
    };
    let mut starts = gap.within.start / PAGE..gap.within.end / PAGE;
    let found = if top_down {
        starts.rev().find(|s| fits(*s))
    } else {
        starts.find(|s| fits(*s))
    };
    found.map(|page| page * PAGE)
}

proptest! {
    #[test]
    fn behaves_like_a_page_array(steps in steps(), len in 1..20u64, low in 0..30u64, high in 30..80u64, align in 0..3u32) {
        let mut map = AreaMap::default();
        let mut model: Model = vec![None; PAGES as usize];
        for step in &steps {
            apply(&mut map, &mut model, step);
            check(&map, &model);
        }
        for page in 0..PAGES {
            let found = map.find(page * PAGE + 17);
            prop_assert_eq!(found.is_some(), model[page as usize].is_some());
            let covered = model[page as usize..(page as usize + 5).min(64)].iter().all(Option::is_some);
            let end = (page + 5).min(PAGES) * PAGE;
            prop_assert_eq!(map.covers(&(page * PAGE..end)), covered);
        }
        let gap = Gap { len: len * PAGE, within: low * PAGE..high * PAGE, guard: 0, align: PAGE << align };
        prop_assert_eq!(map.gap_top_down(&gap), naive_gap(&model, &gap, true));
        prop_assert_eq!(map.gap_bottom_up(&gap), naive_gap(&model, &gap, false));
    }
}

#[test]
fn a_gap_keeps_its_distance_from_what_grows_down() {
    let mut map = AreaMap::default();
    let mut stack = area(40, 44, 3, 0);
    stack.flags = AreaFlags::GROWS_DOWN;
    map.insert(stack).unwrap();
    let gap = Gap {
        len: PAGE,
        within: 0..50 * PAGE,
        guard: 8 * PAGE,
        align: PAGE,
    };
    assert_eq!(map.gap_top_down(&gap), Some(49 * PAGE));
    let below = Gap {
        within: 0..44 * PAGE,
        ..gap.clone()
    };
    assert_eq!(map.gap_top_down(&below), Some(31 * PAGE));
    let tight = Gap {
        within: 31 * PAGE..44 * PAGE,
        len: 2 * PAGE,
        ..gap
    };
    assert_eq!(map.gap_bottom_up(&tight), None);
}

#[test]
fn too_many_areas_are_refused() {
    let mut map = AreaMap::default();
    // One more than the limit, as on Linux.
    for i in 0..=MAX_AREAS as u64 {
        map.insert(area(i * 2, i * 2 + 1, 1, i * 7)).unwrap();
    }
    let next = MAX_AREAS as u64 * 2 + 2;
    assert_eq!(
        map.insert(area(next, next + 1, 1, 0)),
        Err(MapError::TooMany)
    );
    assert_eq!(map.total_bytes(), (MAX_AREAS as u64 + 1) * PAGE);
}

#[test]
fn what_may_be_written_is_counted() {
    let mut map = AreaMap::default();
    let pages = |map: &AreaMap<_>| map.committed_bytes() / PAGE;
    map.insert(area(10, 20, 3, 0)).unwrap();
    map.insert(area(20, 25, 1, 0)).unwrap();
    let mut shared = area(30, 40, 3, 0);
    shared.flags = AreaFlags::SHARED;
    map.insert(shared).unwrap();
    assert_eq!(pages(&map), 10);
    map.update(&(18 * PAGE..22 * PAGE), |area| area.prot = Prot::WRITE)
        .unwrap();
    assert_eq!(pages(&map), 12);
    map.update(&(10 * PAGE..12 * PAGE), |area| area.prot = Prot::READ)
        .unwrap();
    assert_eq!(pages(&map), 10);
    map.insert(area(25, 26, 3, 0)).unwrap();
    map.remove(&(11 * PAGE..19 * PAGE), drop).unwrap();
    assert_eq!(pages(&map), 4);
    assert!(committed() >= 4 * PAGE);
}

/// A small generator of numbers (splitmix64), so that a failure can be had again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

/// The areas and gaps of a page array, by going through it: what the map must hold.
fn check_near(map: &AreaMap<Offset>, model: &Model, range: Range<u64>) {
    let low = range.start.saturating_sub(2);
    for page in low..(range.end + 2).min(model.len() as u64) {
        let found = map.find(page * PAGE).map(|area| {
            let offset = area.backing.0 / PAGE + page - area.start / PAGE;
            (area.prot.bits(), offset)
        });
        assert_eq!(found, model[page as usize], "page {page}");
    }
}

fn check_objects(map: &AreaMap<Offset>) {
    let expected = map.iter().filter(|area| area.backing.is_object());
    assert!(map.iter_objects().eq(expected));
}

fn check_whole(map: &AreaMap<Offset>, model: &Model) {
    let mut pages: Model = vec![None; model.len()];
    let mut previous: Option<&Area<Offset>> = None;
    let mut count = 0;
    for area in map.iter() {
        assert!(area.start < area.end);
        if let Some(previous) = previous {
            assert!(previous.end <= area.start && !previous.joins(area));
        }
        for page in area.start / PAGE..area.end / PAGE {
            let offset = area.backing.0 / PAGE + page - area.start / PAGE;
            pages[page as usize] = Some((area.prot.bits(), offset));
        }
        previous = Some(area);
        count += 1;
    }
    assert_eq!(&pages, model);
    assert_eq!(map.len(), count);
    let used = model.iter().flatten().count() as u64;
    assert_eq!(map.total_bytes(), used * PAGE);
}

/// A million operations on a map that grows to a few hundred areas and shrinks again.
#[test]
fn a_million_operations() {
    const MANY: u64 = 2048;
    let seed = std::env::var("KILN_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let mut numbers = Numbers(seed.unwrap_or(1));
    let mut map = AreaMap::default();
    let mut model: Model = vec![None; MANY as usize];
    let mut most = 0;
    for count in 0..1_000_000u64 {
        // In some stretches areas are small and many, in others whole swathes go.
        let longest = [4, 4, 40, 300][(count / 5000 % 4) as usize];
        let start = numbers.below(MANY);
        let end = (start + 1 + numbers.below(longest)).min(MANY);
        let prot = numbers.below(4) as u32;
        let step = match numbers.below(8) {
            0..=3 => Step::Insert(start, end, prot, start + numbers.below(3) * 10_000),
            4 | 5 => Step::Protect(start, end, prot),
            6 => Step::Remove(start, end),
            _ => {
                let size = MANY * PAGE;
                let gap = Gap {
                    len: numbers.below(longest + 1).max(1) * PAGE,
                    within: 0..size,
                    guard: 0,
                    align: PAGE << numbers.below(3),
                };
                if count % 16 == 7 {
                    assert_eq!(map.gap_top_down(&gap), naive_gap(&model, &gap, true));
                    assert_eq!(map.gap_bottom_up(&gap), naive_gap(&model, &gap, false));
                }
                continue;
            }
        };
        apply(&mut map, &mut model, &step);
        check_near(&map, &model, start..end);
        most = most.max(map.len());
        if count % 16 == 3 {
            check_objects(&map);
        }
        if count % 2000 == 0 {
            check_whole(&map, &model);
        }
    }
    check_whole(&map, &model);
    assert!(most > 300, "only {most} areas at once");
}

/// Placing from the top down, as programs do: the time must not grow with the square of the areas.
#[test]
fn many_areas_are_found_their_places() {
    let mut map = AreaMap::default();
    let top = MAX_AREAS as u64 * 4 * PAGE;
    let gap = Gap {
        len: PAGE,
        within: PAGE..top,
        guard: 0,
        align: PAGE,
    };
    for i in 0..MAX_AREAS as u64 {
        let start = map.gap_top_down(&gap).unwrap();
        let prot = Prot::from_bits_truncate(1 + (i % 2) as u32);
        let backing = Offset(i * 1000 * PAGE);
        map.insert(Area {
            start,
            end: start + PAGE,
            prot,
            flags: AreaFlags::empty(),
            backing,
        })
        .unwrap();
    }
    assert_eq!(map.len(), MAX_AREAS);
    map.remove(&(0..top), |_| ()).unwrap();
    assert!(map.is_empty());
}

#[test]
fn an_empty_range_overlaps_nothing() {
    let mut map = AreaMap::default();
    assert_eq!(map.insert(area(2, 6, 1, 0)), Ok(()));
    for at in [2, 4, 6].map(|page| page * PAGE) {
        assert_eq!(map.overlapping(&(at..at)).count(), 0);
        assert!(map.is_free(&(at..at)) && map.covers(&(at..at)));
    }
    assert_eq!(map.overlapping(&(4 * PAGE..5 * PAGE)).count(), 1);
}
