//! Buffers that end in an unmapped page: how much read and write do before they stop; EFAULT only
//! when nothing could be done; structures that straddle are EFAULT.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{self, Arg, file, memory::{Map, PAGE}};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let Ok(map) = Map::anon(3 * PAGE) else { return 1 };
    let _ = map.unmap(2 * PAGE, PAGE);
    (0..2 * PAGE).for_each(|i| map.set(i, b'a' + (i % 26) as u8));
    let end = map.addr + 2 * PAGE;
    file::make(c"f", &[b'F'; 10_000], 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDWR, 0);
    let zero = file::open_or_say(c"/dev/zero", libc::O_RDONLY, 0);
    for (before, len) in [(10, 20), (5000, 6000), (1, 2), (0, 5), (8192, 9000)] {
        let label = |what: &str| format!("{what} {len} with {before} mapped");
        show(&label("pread"), call(libc::SYS_pread64, fd, end - before, len));
        show(&label("pwrite"), call(libc::SYS_pwrite64, fd, end - before, len));
        // How much of the mapped part these take differs between versions.
        let some = |what: &str, result: sys::Res| {
            let fine = result.map_or_else(
                |errno| errno.0 == libc::EFAULT && before < PAGE,
                |n| (1..=before).contains(&n),
            );
            say!("{} fine: {fine}", label(what));
        };
        some("read zero", call(libc::SYS_read, zero, end - before, len));
        let (rx, tx) = file::pipe();
        some("write pipe", call(libc::SYS_write, tx, end - before, len));
        let _ = file::write(tx, &[b'p'; 9000]);
        some("read pipe", call(libc::SYS_read, rx, end - before, len));
        let _ = file::close(rx);
        let _ = file::close(tx);
    }
    let path = map.addr + 2 * PAGE - 3;
    [b'a', b'b', b'c'].into_iter().enumerate().for_each(|(i, b)| map.set(2 * PAGE - 3 + i, b));
    // SAFETY: the kernel stops at the page's end.
    show("a path without end", unsafe { sys::call(libc::SYS_open, [path, 0, 0, 0, 0, 0]) });
    map.set(2 * PAGE - 1, 0);
    // SAFETY: a path of two bytes.
    show("a path at the end", unsafe { sys::call(libc::SYS_open, [path, 0, 0, 0, 0, 0]) });
    // SAFETY: the structure doesn't fit before the hole.
    show("fstat", unsafe { sys::call(libc::SYS_fstat, [fd.arg(), end - 100, 0, 0, 0, 0]) });
    // SAFETY: it fits exactly.
    show("fstat that fits", unsafe { sys::call(libc::SYS_fstat, [fd.arg(), end - 144, 0, 0, 0, 0]) });
    say!("still alive");
    0
}

fn call(number: i64, fd: i32, at: usize, len: usize) -> sys::Res {
    // SAFETY: the mapping holds nothing of Rust's; behind it nothing is mapped.
    unsafe { sys::call(number, [fd.arg(), at, len, 0, 0, 0]) }
}
