//! mprotect(2): ENOMEM over holes (after changing what comes before), EINVAL, EACCES.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, memory::{self, Map, PAGE}};
use libc::{PROT_READ as R, PROT_WRITE as W};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let Ok(map) = Map::anon(8 * PAGE) else { return 1 };
    let _ = map.unmap(4 * PAGE, PAGE);
    show("over a hole", map.protect(0, 8 * PAGE, R));
    say!("before the hole: {}", child::run(|| { map.set(0, 1); 0 }));
    say!("behind it: {}", child::run(|| { map.set(5 * PAGE, 1); 0 }));
    show("odd address", memory::mprotect(map.addr + 1, PAGE, R));
    show("length 0", memory::mprotect(map.addr, 0, R));
    show("length 0 of nothing", memory::mprotect(0x1000, 0, R));
    show("nothing there", memory::mprotect(0x1000, PAGE, R));
    show("kernel", memory::mprotect(0xffff_8000_0000_0000, PAGE, R));
    show("wraps", memory::mprotect(map.addr, usize::MAX & !4095, R));
    show("unknown bits", memory::mprotect(map.addr, PAGE, 0x100));
    show("grows up and down", memory::mprotect(map.addr, PAGE, R | 0x0300_0000));
    file::make(c"f", &[1; 4096], 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDONLY, 0);
    let Ok(shared) = Map::new(PAGE, R, libc::MAP_SHARED, fd, 0) else { return 1 };
    show("write to a shared map of a read-only descriptor", shared.protect(0, PAGE, R | W));
    let Ok(private) = Map::new(PAGE, R, libc::MAP_PRIVATE, fd, 0) else { return 1 };
    show("write to a private one", private.protect(0, PAGE, R | W));
    private.set(0, 9);
    say!("file {:?}", file::slurp(c"f").map(|b| b[0]));
    0
}
