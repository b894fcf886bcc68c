//! Tests of semaphore sets, by example and by chance.

use super::*;

fn op(number: u16, change: i16) -> Op {
    Op {
        number,
        change,
        flags: 0,
    }
}

fn undone(number: u16, change: i16) -> Op {
    Op {
        flags: UNDO,
        ..op(number, change)
    }
}

fn values(set: &SemSet) -> std::vec::Vec<i32> {
    set.sems().iter().map(|sem| sem.value).collect()
}

#[test]
fn all_or_none() {
    let mut set = SemSet::new(2).unwrap();
    assert_eq!(set.operate(&[op(0, 3)], 1, 5), Ok(Outcome::Done(false)));
    let ticket = match set.operate(&[op(0, -1), op(1, -1)], 2, 6) {
        Ok(Outcome::Waiting(ticket)) => ticket,
        other => panic!("{other:?}"),
    };
    assert_eq!(values(&set), [3, 0]);
    assert_eq!((set.waiting(1, false), set.waiting(0, false)), (1, 0));
    assert_eq!(set.operate(&[op(1, 1)], 3, 7), Ok(Outcome::Done(true)));
    assert_eq!(values(&set), [2, 0]);
    assert_eq!(set.take_result(ticket), Some(Ok(())));
    assert_eq!(set.take_result(ticket), None);
    assert_eq!((set.sems()[1].pid, set.changed), (2, 7));
}

#[test]
fn zero_waits_and_gives_up() {
    let mut set = SemSet::new(1).unwrap();
    set.operate(&[op(0, 1)], 1, 0).unwrap();
    let Ok(Outcome::Waiting(zero)) = set.operate(&[op(0, 0)], 1, 0) else {
        panic!("didn't wait")
    };
    assert_eq!((set.waiting(0, true), set.waiting(0, false)), (1, 0));
    let Ok(Outcome::Waiting(two)) = set.operate(&[op(0, -2)], 1, 0) else {
        panic!("didn't wait")
    };
    assert_eq!(set.give_up(two), None);
    assert_eq!(set.operate(&[op(0, -1)], 1, 0), Ok(Outcome::Done(true)));
    assert_eq!(set.take_result(zero), Some(Ok(())));
    let nowait = Op {
        flags: NOWAIT,
        ..op(0, -1)
    };
    assert_eq!(set.operate(&[nowait], 1, 0), Err(Errno::EAGAIN));
    assert_eq!(set.operate(&[op(1, 1)], 1, 0), Err(Errno::EFBIG));
}

#[test]
fn ranges() {
    let mut set = SemSet::new(1).unwrap();
    assert_eq!(set.set(0, MAX_VALUE, 1, 0), Ok(false));
    assert_eq!(set.operate(&[op(0, 1)], 1, 0), Err(Errno::ERANGE));
    assert_eq!(
        set.operate(&[op(0, -1), op(0, 2)], 1, 0),
        Err(Errno::ERANGE)
    );
    assert_eq!(values(&set), [MAX_VALUE]);
    assert_eq!(set.set(0, -1, 1, 0), Err(Errno::ERANGE));
    assert_eq!(set.set(0, MAX_VALUE + 1, 1, 0), Err(Errno::ERANGE));
    assert_eq!(set.set(1, 0, 1, 0), Err(Errno::EINVAL));
    assert_eq!(set.set_all(&[0x8000], 1, 0), Err(Errno::ERANGE));
}

#[test]
fn the_end_of_a_process_undoes() {
    let mut set = SemSet::new(2).unwrap();
    set.set_all(&[5, 5], 1, 0).unwrap();
    set.operate(&[undone(0, -2), undone(1, 3), op(1, 1)], 7, 0)
        .unwrap();
    assert_eq!(values(&set), [3, 9]);
    set.process_ended(8, 0);
    assert_eq!(values(&set), [3, 9]);
    set.process_ended(7, 0);
    assert_eq!(values(&set), [5, 6]);
    set.operate(&[undone(0, -2), undone(1, -2)], 7, 0).unwrap();
    set.set(0, 1, 1, 0).unwrap();
    set.process_ended(7, 0);
    assert_eq!(values(&set), [1, 6]);
    set.operate(&[undone(0, 3)], 7, 0).unwrap();
    set.operate(&[op(0, -4)], 8, 0).unwrap();
    set.process_ended(7, 0);
    assert_eq!(values(&set), [0, 6]);
}

#[test]
fn removal_tells_everybody() {
    let mut set = SemSet::new(1).unwrap();
    let Ok(Outcome::Waiting(first)) = set.operate(&[op(0, -1)], 1, 0) else {
        panic!("didn't wait")
    };
    assert!(set.remove());
    assert_eq!(set.take_result(first), Some(Err(Errno::EIDRM)));
}

/// Whatever happens, nobody in line could be served, and what was added equals what was taken.
#[test]
fn nobody_waits_who_could_go_on() {
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for _ in 0..200 {
        let mut set = SemSet::new(3).unwrap();
        let mut tickets = std::vec::Vec::new();
        let mut sum = 0;
        for _ in 0..60 {
            let ops: std::vec::Vec<Op> = (0..=next(2))
                .map(|_| op(next(3) as u16, next(7) as i16 - 3))
                .collect();
            let total: i32 = ops.iter().map(|op| i32::from(op.change)).sum();
            match set.operate(&ops, 1, 0).unwrap() {
                Outcome::Done(_) => sum += total,
                Outcome::Waiting(ticket) => tickets.push((ticket, total)),
            }
            tickets.retain(|(ticket, total)| {
                let done = set.take_result(*ticket).is_some();
                sum += if done { *total } else { 0 };
                !done
            });
            assert_eq!(values(&set).iter().sum::<i32>(), sum);
            assert!(values(&set).iter().all(|value| *value >= 0));
            let before = values(&set);
            assert!(!set.serve(0), "somebody could go on");
            assert_eq!(before, values(&set));
        }
    }
}
