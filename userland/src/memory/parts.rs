//! Calls on the first pages of a longer area of a file end, and say the same as on all of it: msync(2), mlock(2),
//! madvise(2); a file's hole reaches into the file alone as far as it was asked for.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::memory::{self, Map, PAGE};
use crate::sys::{self, file};
use libc::{MAP_PRIVATE, MAP_SHARED, MS_SYNC, PROT_NONE, PROT_READ, PROT_WRITE};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", &[7; 4 * PAGE], 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDWR, 0);
    let Ok(map) = Map::new(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) else { return 1 };
    map.set(0, 1);
    show("msync of a page", memory::msync(map.addr, PAGE, MS_SYNC));
    show("msync of the middle", memory::msync(map.addr + PAGE, 2 * PAGE, MS_SYNC));
    show("msync of a length that wraps", memory::msync(map.addr, usize::MAX, MS_SYNC));
    show("will need", memory::madvise(&map, 0, PAGE, libc::MADV_WILLNEED));
    show("lock", lock(libc::SYS_mlock, map.addr, 4 * PAGE));
    show("lock a part again", lock(libc::SYS_mlock, map.addr + 1, PAGE));
    show("unlock a part", lock(libc::SYS_munlock, map.addr, PAGE));
    show("unlock", lock(libc::SYS_munlock, map.addr, 4 * PAGE));
    show("remove a page", memory::madvise(&map, 0, PAGE, libc::MADV_REMOVE));
    say!("{} {} {}", map.get(0), map.get(PAGE - 1), map.get(PAGE));
    let Ok(none) = Map::new(2 * PAGE, PROT_NONE, MAP_PRIVATE, -1, 0) else { return 1 };
    show("lock what can't be touched", lock(libc::SYS_mlock, none.addr, PAGE));
    0
}

fn lock(number: i64, addr: usize, len: usize) -> sys::Res {
    // SAFETY: changes no memory.
    unsafe { sys::call(number, [addr, len, 0, 0, 0, 0]) }
}
