//! mlock(2), munlock(2): fine within the limit, ENOMEM over holes; the memory is there.
use crate::out::show;
use crate::sys::{self, memory::{Map, PAGE}};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(4 * PAGE) else { return 1 };
    let call = |number: i64, addr: usize, len: usize| {
        // SAFETY: changes no memory's content.
        unsafe { sys::call(number, [addr, len, 0, 0, 0, 0]) }
    };
    show("mlock", call(libc::SYS_mlock, map.addr, 4 * PAGE));
    show("a part of it again", call(libc::SYS_mlock, map.addr + PAGE, PAGE));
    show("munlock", call(libc::SYS_munlock, map.addr, 4 * PAGE));
    show("odd address", call(libc::SYS_mlock, map.addr + 1, 10));
    let _ = map.unmap(PAGE, PAGE);
    show("hole", call(libc::SYS_mlock, map.addr, 4 * PAGE));
    show("nothing", call(libc::SYS_mlock, 0x1000, PAGE));
    show("munlockall", call(libc::SYS_munlockall, 0, 0));
    0
}
