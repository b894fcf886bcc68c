//! epoll(7) files that watch epoll files: five in a row at most, from whichever end the row grows, and none in a ring
//! (ELOOP); what stands at the top is told of what is ready at the bottom.
use crate::out::{say, show};
use crate::sys::event::{epoll_create1, epoll_ctl, epoll_wait, eventfd2, fd_or_say};
use crate::sys::{Res, file};
use std::ffi::CStr;

/// As many as would use up a kernel stack.
const MANY: usize = 400;

fn new() -> i32 {
    fd_or_say("epoll", epoll_create1(0))
}

fn change(operation: i32, outer: i32, inner: i32) -> Res {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
    epoll_ctl(outer, operation, inner, Some(&mut event))
}

fn add(outer: i32, inner: i32) -> Res {
    change(libc::EPOLL_CTL_ADD, outer, inner)
}

/// How many are added by `link` before one is refused; the row, from the first.
fn row(link: impl Fn(i32, i32) -> Res) -> Vec<i32> {
    let mut row = vec![new()];
    for _ in 0..MANY {
        let next = new();
        let last = row[row.len() - 1];
        if let Err(errno) = link(last, next) {
            say!("{} in a row, then {errno:?}", row.len());
            show("close", file::close(next));
            break;
        }
        row.push(next);
    }
    row
}

fn wake(top: i32, bottom: i32) {
    let event = fd_or_say("eventfd", eventfd2(0, 0));
    show("below all", add(bottom, event));
    show("write", file::write(event, &1u64.to_ne_bytes()));
    let mut told = libc::epoll_event { events: 0, u64: 0 };
    show("told", epoll_wait(top, &mut told, 1, 1000));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let down = row(add);
    wake(down[0], down[down.len() - 1]);
    let up = row(|last, next| add(next, last));
    wake(up[up.len() - 1], up[0]);
    say!("two rows");
    let (left, right) = ([new(), new(), new()], [new(), new(), new()]);
    for row in [left, right] {
        show("first", add(row[0], row[1]));
        show("second", add(row[1], row[2]));
    }
    show("joined", add(left[2], right[0]));
    show("further down", add(left[2], right[1]));
    show("again", add(left[2], right[1]));
    show("ring", add(right[2], left[0]));
    show("small ring", add(left[1], left[0]));
    show("itself", add(left[0], left[0]));
    show("shorter", change(libc::EPOLL_CTL_DEL, left[0], left[1]));
    show("joined", add(left[2], right[0]));
    show("longer", add(left[0], left[1]));
    show("close", file::close(right[0]));
    show("longer", add(left[0], left[1]));
    0
}
