//! 64 GiB reserved without memory; pages touched here and there are zero and kept; unmapping gives
//! them back (mmap(2), MAP_NORESERVE).
use crate::out::say;
use crate::sys::memory::Map;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let flags = libc::MAP_PRIVATE | libc::MAP_NORESERVE;
    for round in 0..3 {
        let Ok(map) = Map::new(64 << 30, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) else {
            say!("no map");
            return 1;
        };
        let places = |i: usize| i * ((64 << 30) / 61) + i * 4099;
        let zero = (0..60).filter(|i| map.get(places(*i)) == 0).count();
        (0..60).for_each(|i| map.set(places(i), i as u8));
        let kept = (0..60).filter(|i| map.get(places(*i)) == *i as u8).count();
        say!("round {round}: zero {zero} kept {kept}");
    }
    0
}
