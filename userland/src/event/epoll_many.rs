//! epoll(7) over thousands of files: adding one more costs no more than the first did, and what is closed is gone.
use crate::out::{say, show};
use crate::sys::event::{epoll_create1, epoll_ctl, epoll_wait, eventfd2, fd_or_say};
use crate::sys::{file, process, time};
use std::ffi::CStr;

const BLOCK: usize = 500;

/// Raises the limit of descriptors as far as that goes; how many files the test may open.
fn room() -> usize {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let _ = process::prlimit64(0, libc::RLIMIT_NOFILE, None, Some(&mut limit));
    limit.rlim_cur = limit.rlim_max;
    show("limit", process::prlimit64(0, libc::RLIMIT_NOFILE, Some(&limit), None));
    (limit.rlim_max as usize).min(12_000).saturating_sub(64) / BLOCK * BLOCK
}

fn add(epoll: i32, fd: i32) -> crate::sys::Res {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: fd as u64 };
    epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, Some(&mut event))
}

/// The processor time that each block's additions took.
fn add_all(epoll: i32, fds: &[i32]) -> Vec<i64> {
    let mut times = Vec::new();
    for block in fds.chunks(BLOCK) {
        let start = time::now(libc::CLOCK_THREAD_CPUTIME_ID);
        let failed = block.iter().filter(|&&fd| add(epoll, fd).is_err()).count();
        times.push(time::now(libc::CLOCK_THREAD_CPUTIME_ID) - start);
        if failed > 0 {
            say!("{failed} weren't added");
        }
    }
    times
}

fn ready(epoll: i32) -> (crate::sys::Res, u64) {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    let count = epoll_wait(epoll, &mut event, 1, 0);
    (count, event.u64)
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let count = room();
    let epoll = fd_or_say("epoll", epoll_create1(libc::EPOLL_CLOEXEC));
    let fds: Vec<i32> = (0..count).map(|_| fd_or_say("eventfd", eventfd2(0, 0))).collect();
    let times = add_all(epoll, &fds);
    let least = |blocks: &[i64]| blocks.iter().copied().min().unwrap_or(0);
    let (first, last) = (least(&times[..3]), least(&times[times.len() - 3..]));
    say!("the last are as cheap as the first: {}", last < 5 * first);
    let middle = fds[count / 2];
    show("again", add(epoll, middle));
    show("ready", file::write(middle, &1u64.to_ne_bytes()));
    let (events, told) = ready(epoll);
    say!("{events:?} {}", told == middle as u64);
    show("close", file::close(middle));
    say!("{:?}", ready(epoll).0);
    let new = fd_or_say("eventfd", eventfd2(7, 0));
    say!("the same number {}", new == middle);
    show("add", add(epoll, new));
    say!("{:?}", ready(epoll).0);
    for fd in fds {
        let _ = file::close(fd);
    }
    say!("{:?}", ready(epoll).0);
    show("add", add(epoll, fd_or_say("eventfd", eventfd2(1, 0))));
    say!("{:?}", ready(epoll).0);
    0
}
