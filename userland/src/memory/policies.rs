//! set_mempolicy(2), get_mempolicy(2), mbind(2), move_pages(2), migrate_pages(2) where memory is one
//! node: what is accepted, what is told of it, and the errors.
use crate::out::{say, show, show_ok};
use crate::sys::{self, memory::{Map, PAGE}};
use std::ffi::CStr;

fn call(number: i64, args: [usize; 6]) -> sys::Res {
    // SAFETY: pointers among the arguments are to memory of the callers below, or refused.
    unsafe { sys::call(number, args) }
}

fn set(mode: usize, nodes: &[u64], bits: usize) -> sys::Res {
    let list = if nodes.is_empty() { 0 } else { nodes.as_ptr() as usize };
    call(libc::SYS_set_mempolicy, [mode, list, bits, 0, 0, 0])
}

/// The policy: its mode, and the first word of its nodes.
fn get(addr: usize, flags: usize) -> Result<(i32, u64), sys::Errno> {
    let (mut mode, mut nodes) = (-1i32, [7u64; 16]);
    let places = [&raw mut mode as usize, nodes.as_mut_ptr() as usize];
    call(libc::SYS_get_mempolicy, [places[0], places[1], 1024, addr, flags, 0])?;
    Ok((mode, nodes[0]))
}

fn own() {
    say!("at first: {:?}", get(0, 0));
    say!("allowed: {:?}", get(0, 4));
    for mode in 0..6usize {
        for (name, nodes) in [("none", &[][..]), ("node 0", &[1][..]), ("node 1", &[2][..]), ("both", &[3][..])] {
            let done = set(mode, nodes, if nodes.is_empty() { 0 } else { 65 });
            say!("mode {mode}, {name}: {done:?} {:?}", get(0, 0));
        }
    }
    for flag in [1usize << 15, 1 << 14, 3 << 14, 1 << 13, 1 << 12] {
        for mode in [0, 1, 2, 3, 4] {
            say!("mode {mode} with {flag:#x}: {:?} {:?}", set(mode | flag, &[1], 65), get(0, 0));
        }
    }
    show_ok("interleaved", set(3, &[1], 65));
    say!("next node: {:?}", get(0, 1));
    show_ok("bound", set(2, &[1], 65));
    say!("next node: {:?}", get(0, 1));
    show("no such bits", set(2, &[1], 40_000));
    show("too few bits", set(2, &[1], 1));
    show("one bit", set(2, &[1], 2));
    show("unreadable", call(libc::SYS_set_mempolicy, [2, 8, 65, 0, 0, 0]));
    show("unknown flag", get(0, 8).map(|_| 0));
    show("address without asking", get(4096, 0).map(|_| 0));
    show("allowed and more", get(0, 5).map(|_| 0));
    say!("a child's: {}", sys::child::run(|| i32::from(get(0, 0) == Ok((2, 1)))));
    show_ok("default", set(0, &[], 0));
}

fn areas() {
    let Ok(map) = Map::anon(8 * PAGE) else { return };
    let bind = |at: usize, len: usize, mode: usize, nodes: u64, flags: usize| {
        call(libc::SYS_mbind, [map.addr + at, len, mode, &raw const nodes as usize, 65, flags])
    };
    say!("area at first: {:?}", get(map.addr, 2));
    show_ok("bound", bind(2 * PAGE, 2 * PAGE, 2, 1, 0));
    for page in 0..6 {
        say!("page {page}: {:?}", get(map.addr + page * PAGE, 2));
    }
    map.set(0, 1);
    say!("its node: {:?}", get(map.addr, 3).map(|(node, _)| node));
    show("odd address", bind(1, PAGE, 2, 1, 0));
    show("unknown flags", bind(0, PAGE, 2, 1, 8));
    show("no node", bind(0, PAGE, 2, 0, 0));
    show("another node", bind(0, PAGE, 2, 2, 0));
    show_ok("strict and moving", bind(0, 8 * PAGE, 1, 1, 3));
    show_ok("nothing", bind(0, 0, 2, 1, 0));
    let _ = map.unmap(4 * PAGE, PAGE);
    show("a hole", bind(0, 8 * PAGE, 2, 1, 0));
    show("nothing mapped", bind(4 * PAGE, PAGE, 2, 1, 0));
    show("of nothing", get(map.addr + 4 * PAGE, 2).map(|_| 0));
}

fn pages() {
    let Ok(map) = Map::anon(4 * PAGE) else { return };
    map.set(0, 1);
    let mut status = [9i32; 3];
    let pages = [map.addr, map.addr + PAGE, 4096];
    let nodes = [0i32, 0, 0];
    let mut query = |count: usize, nodes: usize, flags: usize| {
        let args = [0, count, pages.as_ptr() as usize, nodes, status.as_mut_ptr() as usize, flags];
        let done = call(libc::SYS_move_pages, args);
        say!("{done:?} {status:?}");
    };
    query(3, 0, 0);
    query(1, nodes.as_ptr() as usize, 2);
    query(3, 0, 1);
    query(0, 0, 0);
    let bad = [1i32];
    show("move to node 1", call(libc::SYS_move_pages, [0, 1, pages.as_ptr() as usize, bad.as_ptr() as usize, status.as_mut_ptr() as usize, 2]));
    show("nobody", call(libc::SYS_move_pages, [0x7FFF_FFFF, 0, 0, 0, 0, 0]));
    let (zero, one) = (1u64, 2u64);
    let list = |nodes: &u64| std::ptr::from_ref(nodes) as usize;
    show("migrate", call(libc::SYS_migrate_pages, [0, 65, list(&zero), list(&zero), 0, 0]));
    show("migrate away", call(libc::SYS_migrate_pages, [0, 65, list(&zero), list(&one), 0, 0]));
    show("migrate nobody", call(libc::SYS_migrate_pages, [0x7FFF_FFFF, 65, list(&zero), list(&zero), 0, 0]));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    own();
    areas();
    pages();
    0
}
