//! Sorting where the size of the code counts: a heap sort, some hundred bytes for each list to be sorted.
//!
//! The library's sorts are made anew for every type that they sort, four KiB each, and the kernel sorts
//! few lists. [`by_key`] is what its rooms call; equal elements may change places.

/// Sorts by a key that each element has; takes `n log n` comparisons and no memory.
pub fn by_key<T, K: Ord>(list: &mut [T], key: impl Fn(&T) -> K) {
    by(list, |a, b| key(a) < key(b));
}

/// Sorts by a comparison: whether the first of two belongs before the second.
pub fn by<T>(list: &mut [T], before: impl Fn(&T, &T) -> bool) {
    // What was sorted before is found so: many lists are.
    if list.is_sorted_by(|a, b| !before(b, a)) {
        return;
    }
    for root in (0..list.len() / 2).rev() {
        sift_down(list, root, &before);
    }
    // The greatest is on top of the heap, and goes behind what is left of it.
    let mut rest = list;
    while let Some(last) = rest.len().checked_sub(1) {
        rest.swap(0, last);
        let Some(left) = rest.get_mut(..last) else {
            return;
        };
        sift_down(left, 0, &before);
        rest = left;
    }
}

/// Lets the element at `root` of a heap sink until none of its children belongs behind it.
fn sift_down<T>(heap: &mut [T], mut root: usize, before: &impl Fn(&T, &T) -> bool) {
    loop {
        let mut child = root * 2 + 1;
        let Some(mut larger) = heap.get(child) else {
            return;
        };
        if let Some(other) = heap.get(child + 1)
            && before(larger, other)
        {
            (child, larger) = (child + 1, other);
        }
        if !heap.get(root).is_some_and(|own| before(own, larger)) {
            return;
        }
        heap.swap(root, child);
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
