//! Sorting where code counts more than time: a heap sort of which each list to be sorted adds only
//! the comparison and the exchange.
//!
//! The library's sorts are made anew for every type they sort, four KiB each, and the kernel sorts
//! few lists, none of them on a hot path. [`by_key`] is what its rooms call; equal elements may
//! change places.

/// What the heap sort needs of a list: it never moves an element but by an exchange.
trait List {
    /// Whether the element at `a` belongs before the one at `b`.
    fn before(&self, a: usize, b: usize) -> bool;
    fn exchange(&mut self, a: usize, b: usize);
}

/// A slice, and what tells the order of two of its elements.
struct Sorting<'a, T, F> {
    list: &'a mut [T],
    before: F,
}

impl<T, F: Fn(&T, &T) -> bool> List for Sorting<'_, T, F> {
    fn before(&self, a: usize, b: usize) -> bool {
        match (self.list.get(a), self.list.get(b)) {
            (Some(a), Some(b)) => (self.before)(a, b),
            _ => false,
        }
    }

    fn exchange(&mut self, a: usize, b: usize) {
        self.list.swap(a, b);
    }
}

/// Sorts by a key that each element has; takes `n log n` comparisons and no memory.
pub fn by_key<T, K: Ord>(list: &mut [T], key: impl Fn(&T) -> K) {
    by(list, |a, b| key(a) < key(b));
}

/// Sorts by a comparison: whether the first of two belongs before the second.
pub fn by<T>(list: &mut [T], before: impl Fn(&T, &T) -> bool) {
    let len = list.len();
    heap_sort(&mut Sorting { list, before }, len);
}

/// Makes a heap with the last element on top, then takes the top off one by one.
fn heap_sort(list: &mut dyn List, len: usize) {
    // What was sorted before is found so: most lists are.
    if (1..len).all(|at| !list.before(at, at - 1)) {
        return;
    }
    for root in (0..len / 2).rev() {
        sift_down(list, root, len);
    }
    for end in (1..len).rev() {
        list.exchange(0, end);
        sift_down(list, 0, end);
    }
}

/// Lets the element at `root` sink until no child of it belongs behind it; the heap is `len` long.
fn sift_down(list: &mut dyn List, mut root: usize, len: usize) {
    loop {
        let mut child = root * 2 + 1;
        if child >= len {
            return;
        }
        if child + 1 < len && list.before(child, child + 1) {
            child += 1;
        }
        if !list.before(root, child) {
            return;
        }
        list.exchange(root, child);
        root = child;
    }
}

#[cfg(test)]
mod tests {
    use super::{by, by_key};
    use std::vec::Vec;

    #[test]
    fn sorts_as_the_library_does() {
        let mut seed = 1_u64;
        for len in 0..200_usize {
            let list: Vec<u64> = (0..len)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (seed >> 33) % 64
                })
                .collect();
            let mut expected = list.clone();
            expected.sort_unstable();
            let mut sorted = list.clone();
            by_key(&mut sorted, |value| *value);
            assert_eq!(sorted, expected);
            by(&mut sorted, |a, b| a > b);
            expected.reverse();
            assert_eq!(sorted, expected);
        }
    }
}
