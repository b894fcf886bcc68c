//! The numbers that timer_create(2) gives count on: a deleted timer's doesn't come again at once; a child's begin anew.
use crate::out::say;
use crate::sys::{child, time};
use std::ffi::CStr;

fn make() -> i32 {
    let mut id = -1;
    let _ = time::timer_create(libc::CLOCK_MONOTONIC, None, &mut id);
    id
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let made: Vec<i32> = (0..4).map(|_| make()).collect();
    say!("{made:?}");
    for id in [1, 3, 3, 4, -1] {
        say!("delete {id}: {:?}", time::timer_delete(id));
    }
    say!("{} {} {}", make(), make(), make());
    let mut left = [0; 4];
    for id in 0..9 {
        say!("{id}: {:?}", time::timer_gettime(id, &mut left));
    }
    say!("{}", child::run(|| {
        say!("a child's {} {}", make(), make());
        0
    }));
    0
}
