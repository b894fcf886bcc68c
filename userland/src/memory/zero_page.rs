//! Pages that were only read are zero and stay apart from each other once written, by the program
//! or the kernel, before and after a fork.
use crate::out::say;
use crate::sys::{child, file, memory::{Map, PAGE}};
use std::ffi::CStr;

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
    0
}
