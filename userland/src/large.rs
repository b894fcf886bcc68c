//! How much of an area lies in pages of 2 MiB: `behave --helper large`. It depends on the machine's
//! memory and not on what programs may rely on, so the host's answer is none of this one's business.

use crate::out::{error, say};
use crate::sys::child;
use crate::sys::memory::{Map, PAGE, madvise};
use std::ffi::CStr;

const MIB: usize = 1 << 20;

fn tell(what: &str) {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("AnonHugePages:"));
    let size = line
        .and_then(|line| line.split_once(':'))
        .map_or("?", |(_, size)| size.trim());
    say!("{what}: {size}");
}

/// Writes to an area, and takes parts of it apart.
pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(room) = Map::anon(10 * MIB) else {
        error("no memory");
        return 1;
    };
    let addr = (room.addr + 2 * MIB - 1) & !(2 * MIB - 1);
    let map = std::mem::ManuallyDrop::new(Map { addr, len: 8 * MIB });
    (0..8 * MIB).step_by(PAGE).for_each(|at| map.set(at, 1));
    tell("written");
    let _ = madvise(&map, PAGE, PAGE, libc::MADV_DONTNEED);
    tell("a page dropped");
    let _ = map.protect(3 * MIB, PAGE, libc::PROT_READ);
    tell("rights of another");
    let end = child::run(|| {
        tell("a child's, before");
        map.set(5 * MIB, 2);
        tell("a child's, written");
        0
    });
    tell("after all");
    i32::from(end != "exited 0")
}
