//! Whose turn it is, on the host.

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

#[test]
fn weights() {
    assert_eq!(weight(0), 1024);
    assert_eq!(weight(1), 819);
    assert_eq!(weight(-1), 1280);
    assert!((88_000..90_000).contains(&weight(-20)));
    assert_eq!(weight(19), 15);
    assert!((-20..19).all(|nice| weight(nice) > weight(nice + 1)));
}

#[test]
fn shares_follow_weights() {
    // Three threads that never sleep, nice 0, 0 and 5, run for 10 simulated seconds.
    let nices = [0i8, 0, 5];
    let mut times = [0u64; 3];
    let mut ran = [0u64; 3];
    let mut queue = RunQueue::new();
    for i in 0..3usize {
        queue.push(Rank::fair(0), i);
    }
    for _ in 0..10_000 {
        let (_, i) = queue.pop().unwrap();
        let weight = weight(nices[i]);
        while !Rank::fair(times[i]).makes_way_for(queue.first().unwrap(), weight) {
            ran[i] += 1_000_000;
            times[i] += virtual_time(1_000_000, weight);
        }
        queue.push(Rank::fair(times[i]), i);
    }
    let share = |i: usize| ran[i] as f64 / ran.iter().sum::<u64>() as f64;
    assert!((share(0) - share(1)).abs() < 0.01);
    let expected = weight(5) as f64 / (2.0 * 1024.0 + weight(5) as f64);
    assert!((share(2) - expected).abs() < 0.02, "{}", share(2));
}

#[test]
fn a_sleeper_earns_little() {
    let mut queue = RunQueue::new();
    queue.push(Rank::fair(10_000_000_000), 1);
    queue.pop();
    assert_eq!(queue.placed(0), 10_000_000_000 - WAKE_CREDIT_NS);
    assert_eq!(queue.placed(20_000_000_000), 20_000_000_000);
    assert!(!Rank::fair(queue.placed_new(NICE_0_WEIGHT)).preempts(Rank::fair(10_002_000_000)));
}

#[test]
fn a_new_thread_counts_from_the_one_that_runs() {
    let mut queue: RunQueue<u8> = RunQueue::new();
    let running = Rank::fair(30_000_000);
    queue.follow(running);
    assert_eq!(queue.placed_new(NICE_0_WEIGHT), 30_000_000 + SLICE_NS);
    // Having slept, it doesn't take the place of the one that made it.
    assert!(!Rank::fair(queue.placed(34_000_000)).preempts(running));
    // Nobody who waits is passed by.
    queue.push(Rank::fair(31_000_000), 1);
    queue.follow(Rank::fair(50_000_000));
    assert_eq!(queue.floor(), 31_000_000);
    queue.follow(Rank::real_time(5));
    assert_eq!(queue.floor(), 31_000_000);
}

#[test]
fn real_time_comes_first_and_keeps_its_order() {
    let mut queue = RunQueue::new();
    queue.push(Rank::fair(0), 'f');
    queue.push(Rank::real_time(1), 'a');
    queue.push(Rank::real_time(99), 'b');
    queue.push(Rank::real_time(99), 'c');
    queue.push_first(Rank::real_time(99), 'd');
    queue.push_first(Rank::real_time(99), 'e');
    let order: Vec<char> = core::iter::from_fn(|| queue.pop())
        .map(|(_, t)| t)
        .collect();
    assert_eq!(order, ['e', 'd', 'b', 'c', 'a', 'f']);
    assert_eq!(queue.floor(), 0);
}

#[test]
fn who_makes_way_for_whom() {
    let (high, low, fair) = (Rank::real_time(50), Rank::real_time(2), Rank::fair(1 << 40));
    assert!(high.preempts(low) && low.preempts(fair) && high.preempts(fair));
    assert!(!low.preempts(high) && !low.preempts(low) && !fair.preempts(low));
    assert!(low.makes_way_for(high, 1024) && fair.makes_way_for(low, 1024));
    assert!(!low.makes_way_for(low, 1024) && !low.makes_way_for(fair, 1024));
    for rank in [high, low, fair, Rank::fair(0)] {
        assert_eq!(Rank::from_word(rank.to_word()), rank);
    }
    assert!(high.to_word() < low.to_word() && low.to_word() < Rank::fair(0).to_word());
}

#[test]
fn the_earliest_deadline_comes_first_of_all() {
    let (soon, late, high) = (Rank::deadline(5), Rank::deadline(9), Rank::real_time(99));
    assert!(soon.preempts(late) && late.preempts(high) && !late.preempts(soon));
    assert!(late.makes_way_for(soon, 1024) && !soon.makes_way_for(late, 1024));
    assert!(high.makes_way_for(late, 1024) && !late.makes_way_for(high, 1024));
    assert_eq!(Rank::from_word(soon.to_word()), soon);
    let of = |rank: Rank| rank.kernel_priority();
    assert_eq!(
        (of(soon), of(high), of(Rank::real_time(1))),
        (Some(-1), Some(0), Some(98))
    );
    assert_eq!(of(Rank::fair(7)), None);
    let mut queue = RunQueue::new();
    for (rank, name) in [(Rank::fair(0), 'f'), (high, 'h'), (late, 'l'), (soon, 's')] {
        queue.push(rank, name);
    }
    assert!(queue.has_urgent() && queue.has_fair());
    let order: Vec<char> = core::iter::from_fn(|| queue.pop())
        .map(|(_, t)| t)
        .collect();
    assert_eq!(order, ['s', 'l', 'h', 'f']);
    assert_eq!(queue.floor(), 0);
}

#[test]
fn a_queue_moves_into_more_room() {
    let mut queue = RunQueue::new();
    for i in 0..5u64 {
        queue.push(Rank::fair(10 - i), i);
    }
    let mut room = Room::new(100).unwrap();
    queue.move_into(&mut room);
    assert!(queue.room() >= 100);
    assert_eq!(queue.pop(), Some((Rank::fair(6), 4)));
    queue.move_into(&mut Room::new(2).unwrap());
    assert_eq!(queue.len(), 4);
}

proptest! {
    #[test]
    fn pops_in_order(times in prop::collection::vec(0u64..50, 0..200)) {
        let mut queue = RunQueue::new();
        for (i, time) in times.iter().enumerate() {
            queue.push(Rank::fair(*time), i);
        }
        let mut expected: Vec<(Rank, usize)> =
            times.iter().map(|time| Rank::fair(*time)).zip(0..).collect();
        expected.sort();
        let popped: Vec<(Rank, usize)> = core::iter::from_fn(|| queue.pop()).collect();
        prop_assert_eq!(popped, expected);
    }

    #[test]
    fn what_is_taken_out_leaves_the_rest_in_order(
        times in prop::collection::vec(0u64..50, 1..100), taken in 0usize..100
    ) {
        let mut queue = RunQueue::new();
        for (i, time) in times.iter().enumerate() {
            queue.push(Rank::fair(*time), i);
        }
        let was = queue.take(|thread| *thread == taken);
        prop_assert_eq!(was.is_some(), taken < times.len());
        let ranks: Vec<Rank> = core::iter::from_fn(|| queue.pop()).map(|(rank, _)| rank).collect();
        prop_assert!(ranks.is_sorted());
        prop_assert_eq!(ranks.len(), times.len() - usize::from(was.is_some()));
    }
}
