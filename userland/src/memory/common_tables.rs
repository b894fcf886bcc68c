//! A large region after fork(2): whatever the child or the parent does to a part of it - writes,
//! holes, rights, advice, moves, another fork - the other side's stays as it was. Once in pages of
//! 4 KiB and once in large ones, where the kernel has them.
use crate::out::say;
use crate::sys::{child, file, memory::{self, Map, PAGE}};
use std::ffi::CStr;

const MIB: usize = 1 << 20;
const LEN: usize = 8 * MIB;
const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;

type Change = (&'static str, fn(&Map));

const CHANGES: &[Change] = &[
    ("nothing", |_| ()),
    ("one byte", |map| map.set(3 * MIB + 5, 201)),
    ("every page", |map| (0..LEN).step_by(PAGE).for_each(|at| map.set(at, 202))),
    ("fresh page", |map| fresh(map, 3 * MIB, PAGE)),
    ("fresh 2 MiB and a half", |map| fresh(map, 3 * MIB, 5 * MIB / 2)),
    ("fresh everything", |map| fresh(map, 0, LEN)),
    ("a page dropped", |map| drop_pages(map, 5 * MIB, PAGE)),
    ("3 MiB dropped", |map| drop_pages(map, 2 * MIB + PAGE, 3 * MIB)),
    ("rights of a page", |map| rights(map, 3 * MIB, PAGE)),
    ("rights of 4 MiB", |map| rights(map, 2 * MIB, 4 * MIB)),
    ("moved away", moved),
    ("another fork", |map| {
        let end = child::run(|| {
            (0..LEN).step_by(3 * PAGE).for_each(|at| map.set(at, 203));
            (sum(map) % 100) as i32
        });
        say!("    grandchild: {end}");
        map.set(7 * MIB, 204);
    }),
    ("a fork that unmaps", |map| {
        let end = child::run(|| i32::from(map.unmap(MIB, 5 * MIB).is_ok()));
        say!("    grandchild: {end}");
        map.set(3 * MIB, 205);
    }),
    ("the kernel's writes", |map| {
        let zeros = file::fd(file::open(c"/dev/zero", libc::O_RDONLY, 0));
        let part = [map.addr + 3 * MIB - 100, 5000];
        // SAFETY: writes to a part of the mapping, into which no references are held.
        let read = zeros.and_then(|fd| unsafe {
            crate::sys::call(libc::SYS_read, [fd as usize, part[0], part[1], 0, 0, 0])
        });
        say!("    {read:?}");
    }),
];

fn fresh(map: &Map, at: usize, len: usize) {
    let flags = libc::MAP_PRIVATE;
    let done = memory::mmap_fixed(map, at, len, RW, flags).is_ok();
    map.set(at + len - 1, 206);
    say!("    {done}");
}

fn drop_pages(map: &Map, at: usize, len: usize) {
    let done = memory::madvise(map, at, len, libc::MADV_DONTNEED).is_ok();
    map.set(at, 207);
    say!("    {done}");
}

fn rights(map: &Map, at: usize, len: usize) {
    let none = map.protect(at, len, libc::PROT_NONE).is_ok();
    let back = map.protect(at, len, libc::PROT_READ).is_ok();
    let before = sum(map);
    let write = map.protect(at, len, RW).is_ok();
    map.set(at, 208);
    say!("    {none} {back} {before} {write}");
}

/// A part goes elsewhere, once to a like place below a table and once to an unlike one.
fn moved(map: &Map) {
    for (at, len, shift) in [(2 * MIB, 2 * MIB, 0), (5 * MIB, MIB, 3 * PAGE)] {
        let Ok(room) = Map::anon(8 * MIB) else { return };
        let target = (room.addr & !(2 * MIB - 1)) + 2 * MIB + shift;
        let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as usize;
        // SAFETY: both are parts of mappings into which no references are held.
        let done = unsafe {
            crate::sys::call(libc::SYS_mremap, [map.addr + at, len, len, flags, target, 0])
        };
        let there = target - room.addr;
        let sum: u64 = (0..len).step_by(PAGE).map(|at| u64::from(room.get(there + at))).sum();
        room.set(there + PAGE, 209);
        say!("    moved: {} {sum}", done.is_ok());
        fresh(map, at, len);
    }
}

fn fill(map: &Map) {
    for page in 0..LEN / PAGE {
        // A hole here and there, one of them a whole table's.
        if page % 97 != 13 && !(6 * MIB / PAGE..6 * MIB / PAGE + 512).contains(&page) {
            map.set(page * PAGE, (page % 199) as u8 + 1);
            map.set(page * PAGE + PAGE - 1, (page % 7) as u8);
        }
    }
}

fn sum(map: &Map) -> u64 {
    let page = |at: usize| u64::from(map.get(at)) * 3 + u64::from(map.get(at + 5)) + u64::from(map.get(at + PAGE - 1));
    (0..LEN / PAGE).map(|number| page(number * PAGE) * (number as u64 + 1)).sum()
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (kind, advice) in [("small", libc::MADV_NOHUGEPAGE), ("large", libc::MADV_HUGEPAGE)] {
        for change in CHANGES {
            for parents in [false, true] {
                if one(advice, change, parents).is_none() {
                    return 1;
                }
            }
        }
        say!("{kind} pages done");
    }
    0
}

/// A region of its own that begins where a table does, so that the host and we see the same.
fn one(advice: i32, (name, change): &Change, parents: bool) -> Option<()> {
    let room = Map::anon(LEN + 2 * MIB).ok()?;
    let addr = (room.addr + 2 * MIB - 1) & !(2 * MIB - 1);
    let map = std::mem::ManuallyDrop::new(Map { addr, len: LEN });
    let _ = memory::madvise(&map, 0, LEN, advice);
    fill(&map);
    say!("{name}, {}: {}", if parents { "the parent's" } else { "the child's" }, sum(&map));
    let (rx, tx) = file::pipe();
    let pid = child::start(|| {
        if parents {
            let _ = file::read(rx, &mut [0]);
        } else {
            change(&map);
        }
        say!("  child: {}", sum(&map));
        0
    });
    if parents {
        change(&map);
        let _ = file::write(tx, b"x");
    }
    say!("  {}", child::end_of(pid));
    say!("  parent: {}", sum(&map));
    (0..LEN).step_by(PAGE).for_each(|at| map.set(at + 5, 1));
    say!("  parent, written to: {}", sum(&map));
    let _ = file::close(rx);
    let _ = file::close(tx);
    Some(())
}
