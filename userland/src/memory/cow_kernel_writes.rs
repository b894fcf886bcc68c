//! What the kernel writes (read, pipe, wait4, getcwd) into shared copy-on-write pages stays with
//! the process that called, parent and child alike.
use crate::out::{say, show};
use crate::sys::{child, file, memory::{Map, PAGE}};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(8 * PAGE) else { return 1 };
    (0..8 * PAGE).for_each(|i| map.set(i, b'o'));
    let (rx, tx) = file::pipe();
    let (go_rx, go_tx) = file::pipe();
    let _ = file::write(tx, &vec![b'n'; 2 * PAGE]);
    say!("{}", child::run(|| {
        show("child reads across pages", read_into(rx, &map, PAGE / 2, 2 * PAGE));
        say!("child: {}", tell(&map));
        0
    }));
    say!("parent: {}", tell(&map));
    let pid = child::start(|| {
        let _ = file::read(go_rx, &mut [0]);
        say!("child after the parent's read: {}", tell(&map));
        0
    });
    let _ = file::write(tx, &vec![b'p'; PAGE]);
    show("parent reads", read_into(rx, &map, 4 * PAGE, PAGE));
    let _ = file::write(go_tx, b"x");
    say!("{}", child::end_of(pid));
    say!("parent: {}", tell(&map));
    0
}

fn read_into(fd: i32, map: &Map, offset: usize, len: usize) -> crate::sys::Res {
    // SAFETY: inside the mapping, to which no other reference exists meanwhile.
    let buf = unsafe { std::slice::from_raw_parts_mut((map.addr + offset) as *mut u8, len) };
    file::read(fd, buf)
}

/// How many bytes of each kind.
fn tell(map: &Map) -> String {
    let count = |kind: u8| (0..map.len).filter(|i| map.get(*i) == kind).count();
    format!("o {} n {} p {}", count(b'o'), count(b'n'), count(b'p'))
}
