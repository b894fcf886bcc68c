//! MAP_FIXED replaces what is there, page by page; MAP_FIXED_NOREPLACE says EEXIST; odd addresses
//! are EINVAL (mmap(2)).
use crate::out::{say, show, show_ok};
use crate::sys::{self, Arg, memory::{self, Map, PAGE}};
use libc::{MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_PRIVATE, PROT_READ, PROT_WRITE};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let rw = PROT_READ | PROT_WRITE;
    let Ok(map) = Map::anon(8 * PAGE) else { return 1 };
    (0..8).for_each(|p| map.set(p * PAGE, 7));
    let got = memory::mmap_fixed(&map, 2 * PAGE, 3 * PAGE, rw, MAP_PRIVATE);
    say!("in place: {}", got == Ok(map.addr + 2 * PAGE));
    say!("{:?}", (0..8).map(|p| map.get(p * PAGE)).collect::<Vec<_>>());
    let no_replace = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    show("no replace", memory::mmap(map.addr + 7 * PAGE, 2 * PAGE, rw, no_replace, -1, 0));
    show("unmap", map.unmap(7 * PAGE, PAGE));
    let again = memory::mmap(map.addr + 7 * PAGE, PAGE, rw, no_replace, -1, 0);
    say!("no replace of a hole: {}", again == Ok(map.addr + 7 * PAGE));
    say!("zero: {}", map.get(7 * PAGE));
    let fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    for (label, addr, len) in [("odd", map.addr + 1, PAGE), ("null page", 0, PAGE), ("top", 0x7fff_ffff_f000, PAGE), ("wraps", usize::MAX & !4095, 2 * PAGE)] {
        let args = [addr, len, PROT_READ.arg(), fixed.arg(), (-1).arg(), 0];
        // SAFETY: refused, or (as root, who may) maps the null page, which nothing uses.
        let result = unsafe { sys::call(libc::SYS_mmap, args) };
        if label == "null page" {
            // Root may (CAP_SYS_RAWIO); an ordinary user is below vm.mmap_min_addr.
            say!("{label}: {}", result.is_ok() || result == Err(sys::Errno(libc::EPERM)));
            let _ = memory::munmap_odd(0, PAGE);
        } else {
            show_ok(label, result);
        }
    }
    0
}
