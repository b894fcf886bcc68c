//! Pages that were only read are zero and stay apart from each other once written, by the program
//! or the kernel, before and after a fork. Until then they take no memory.
use crate::out::say;
use crate::sys::{child, file, memory::{Map, PAGE, madvise, mremap}};
use std::ffi::CStr;

const LARGE: usize = 384 << 20;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(6 * PAGE) else { return 1 };
    let sum = |map: &Map| (0..6).map(|p| u32::from(map.get(p * PAGE + 9))).sum::<u32>();
    say!("read {}", sum(&map));
    map.set(9, 1);
    let zero = file::open_or_say(c"/dev/zero", libc::O_RDONLY, 0);
    let (rx, tx) = file::pipe();
    let _ = file::write(tx, &[7; 32]);
    // SAFETY: inside the mapping, to which no other reference exists meanwhile.
    let buf = unsafe { std::slice::from_raw_parts_mut((map.addr + PAGE) as *mut u8, 32) };
    say!("{:?} {:?}", file::read(rx, buf), sum(&map));
    say!("{}", child::run(|| {
        map.set(2 * PAGE + 9, 100);
        sum(&map) as i32
    }));
    say!("parent {}", sum(&map));
    // SAFETY: as above.
    let buf = unsafe { std::slice::from_raw_parts_mut((map.addr + PAGE) as *mut u8, 5 * PAGE) };
    say!("{:?} {:?}", file::read(zero, buf), sum(&map));
    takes_none();
    0
}

/// Pages of the process that are memory of its own.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0)
}

/// What is read only takes no memory: more is read here than the machine has.
fn takes_none() {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let Ok(mut map) = Map::new(LARGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) else { return };
    let _ = madvise(&map, 0, LARGE, libc::MADV_NOHUGEPAGE);
    let before = resident();
    // Linux counts in batches of 64 for each CPU.
    let grown = || match resident().saturating_sub(before) {
        0..512 => "nothing",
        512..2048 => "what was written",
        _ => "all of it",
    };
    let sum = |map: &Map| (0..map.len / PAGE).map(|page| u32::from(map.get(page * PAGE))).sum::<u32>();
    say!("{} read: {}", sum(&map), grown());
    (0..1024).for_each(|page| map.set(page * PAGE, 1));
    say!("{} written: {}", sum(&map), grown());
    say!("a child's: {}", child::run(|| {
        map.set(2000 * PAGE, 1);
        i32::from(sum(&map) != 1025)
    }));
    let _ = map.protect(0, LARGE / 2, libc::PROT_READ);
    let _ = map.protect(0, LARGE / 2, libc::PROT_READ | libc::PROT_WRITE);
    map.set(3000 * PAGE, 1);
    say!("moved: {}", mremap(&mut map, LARGE + PAGE, libc::MREMAP_MAYMOVE).is_ok());
    say!("{}: {}", sum(&map), grown());
    let _ = madvise(&map, 0, LARGE, libc::MADV_DONTNEED);
    say!("{} dropped: {}", sum(&map), grown());
}
