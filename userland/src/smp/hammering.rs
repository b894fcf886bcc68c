//! Threads that map, unmap, fork, lock, and write to pipes, all at once; every sum comes out right.
use crate::out::say;
use crate::sys::memory::{Map, PAGE};
use crate::sys::{child, file};
use std::ffi::CStr;
use std::sync::{Condvar, Mutex};

const ROUNDS: usize = 60;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let turn = (Mutex::new(0usize), Condvar::new());
    std::thread::scope(|scope| {
        let maps: Vec<_> = (1..4u8).map(|id| scope.spawn(move || maps(id))).collect();
        let forks = scope.spawn(forks);
        let pipes = scope.spawn(pipes);
        let turns: Vec<_> = (0..3).map(|id| scope.spawn({
            let turn = &turn;
            move || turns(turn, id)
        })).collect();
        let right = maps.into_iter().filter_map(|thread| thread.join().ok()).sum::<usize>();
        say!("pages as written: {right}");
        say!("children that ended well: {:?}", forks.join().ok());
        say!("bytes through pipes: {:?}", pipes.join().ok());
        let taken = turns.into_iter().filter_map(|thread| thread.join().ok()).sum::<usize>();
        say!("turns taken: {taken}");
    });
    0
}

/// Pages are mapped, written, read again and unmapped; those that were right.
fn maps(id: u8) -> usize {
    let mut right = 0;
    for round in 0..ROUNDS {
        let Ok(map) = Map::anon(8 * PAGE) else { continue };
        let value = id + (round % 50) as u8 * 4;
        (0..8).for_each(|page| map.set(page * PAGE + 77, value));
        let _ = map.protect(0, 4 * PAGE, libc::PROT_READ);
        let _ = map.unmap(7 * PAGE, PAGE);
        right += (0..7).filter(|page| map.get(page * PAGE + 77) == value && map.get(page * PAGE) == 0).count();
    }
    right
}

fn forks() -> usize {
    let Ok(map) = Map::anon(4 * PAGE) else { return 0 };
    (0..ROUNDS / 3)
        .filter(|round| {
            let value = *round as u8;
            (0..4).for_each(|page| map.set(page * PAGE, value));
            let end = child::run(|| {
                let kept = (0..4).all(|page| map.get(page * PAGE) == value);
                (0..4).for_each(|page| map.set(page * PAGE, 255));
                i32::from(!kept)
            });
            end == "exited 0" && (0..4).all(|page| map.get(page * PAGE) == value)
        })
        .count()
}

/// Two threads send each other a byte to and fro.
fn pipes() -> usize {
    let ((a_out, a_in), (b_out, b_in)) = (file::pipe(), file::pipe());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut byte = [0];
            while file::read(a_out, &mut byte) == Ok(1) && byte[0] != 255 {
                let _ = file::write(b_in, &[byte[0].wrapping_add(1)]);
            }
        });
        let mut byte = [0];
        let right = (0..200u8).filter(|sent| {
            file::write(a_in, &[*sent]) == Ok(1)
                && file::read(b_out, &mut byte) == Ok(1)
                && byte[0] == sent.wrapping_add(1)
        }).count();
        let _ = file::write(a_in, &[255]);
        right
    })
}

/// Three threads take turns at a counter.
fn turns((count, changed): &(Mutex<usize>, Condvar), id: usize) -> usize {
    let mut taken = 0;
    for _ in 0..ROUNDS {
        let Ok(guard) = count.lock() else { return 0 };
        let Ok(mut guard) = changed.wait_while(guard, |count| *count % 3 != id) else { return 0 };
        *guard += 1;
        taken += 1;
        changed.notify_all();
    }
    taken
}
