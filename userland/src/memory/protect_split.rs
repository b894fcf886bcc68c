//! Protections change page by page within one mapping, also after a fork, without touching
//! neighbours or the other process.
use crate::out::say;
use crate::sys::{child, memory::{Map, PAGE}};
use libc::{PROT_NONE, PROT_READ as R, PROT_WRITE as W};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(9 * PAGE) else { return 1 };
    (0..9).for_each(|p| map.set(p * PAGE, 1));
    for page in [1, 4, 7] {
        let _ = map.protect(page * PAGE, PAGE, R);
    }
    let _ = map.protect(3 * PAGE, PAGE, PROT_NONE);
    tell("parent", &map);
    say!("{}", child::run(|| {
        let _ = map.protect(0, 9 * PAGE, R | W);
        (0..9).for_each(|p| map.set(p * PAGE, 2));
        tell("child", &map);
        0
    }));
    tell("parent", &map);
    let _ = map.protect(0, 9 * PAGE, R);
    tell("read-only", &map);
    let _ = map.protect(0, 9 * PAGE, R | W);
    say!("values {:?}", (0..9).map(|p| map.get(p * PAGE)).collect::<Vec<_>>());
    0
}

fn tell(who: &str, map: &Map) {
    let can: Vec<String> = (0..9)
        .map(|p| {
            child::run(|| {
                let value = map.get(p * PAGE);
                map.set(p * PAGE, value + 1);
                0
            })
        })
        .map(|end| String::from(if end == "exited 0" { "rw" } else { "--" }))
        .collect();
    say!("{who}: {}", can.join(" "));
}
