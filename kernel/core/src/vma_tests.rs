//! The map against a model: one entry for every page.
use super::*;
use alloc::vec;
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
    for i in 0..MAX_AREAS as u64 {
        map.insert(area(i * 2, i * 2 + 1, 1, i * 7)).unwrap();
    }
    let next = MAX_AREAS as u64 * 2;
    assert_eq!(
        map.insert(area(next, next + 1, 1, 0)),
        Err(MapError::TooMany)
    );
    assert_eq!(map.total_bytes(), MAX_AREAS as u64 * PAGE);
}
