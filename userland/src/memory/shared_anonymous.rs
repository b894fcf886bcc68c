//! MAP_SHARED | MAP_ANONYMOUS is shared with children, pages touched before the fork and after.
use crate::out::say;
use crate::sys::{child, memory::{Map, PAGE}};
use std::ffi::CStr;
use std::sync::atomic::Ordering::SeqCst;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let rw = libc::PROT_READ | libc::PROT_WRITE;
    let Ok(map) = Map::new(4 * PAGE, rw, libc::MAP_SHARED, -1, 0) else { return 1 };
    map.set(0, 1);
    let pid = child::start(|| {
        say!("child sees {}", map.get(0));
        map.set(0, 2);
        map.set(PAGE, 3);
        let inner = child::run(|| {
            map.set(2 * PAGE, 4);
            0
        });
        say!("grandchild {inner}: {}", map.get(2 * PAGE));
        0
    });
    say!("{}", child::end_of(pid));
    say!("parent sees {} {} {} {}", map.get(0), map.get(PAGE), map.get(2 * PAGE), map.get(3 * PAGE));
    let pids: Vec<i32> = (0..4)
        .map(|_| {
            child::start(|| {
                (0..20_000).for_each(|_| {
                    map.word(900).fetch_add(1, SeqCst);
                });
                0
            })
        })
        .collect();
    let ends: Vec<String> = pids.into_iter().map(child::end_of).collect();
    say!("{ends:?} count {}", map.word(900).load(SeqCst));
    0
}
