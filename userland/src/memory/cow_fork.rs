//! After fork(2) neither side sees the other's writes, in both directions and through a nested
//! fork: data, stack, heap and private mappings.
use crate::out::say;
use crate::sys::{child, memory::{Map, PAGE}};
use std::ffi::CStr;
use std::sync::atomic::{AtomicU8, Ordering};

static DATA: AtomicU8 = AtomicU8::new(1);

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(16 * PAGE) else { return 1 };
    let mut heap = vec![1u8; 40_000];
    let mut stack = [1u8; 64];
    for page in 0..16 {
        map.set(page * PAGE, 1);
    }
    let show = |who: &str, heap: &[u8], stack: &[u8; 64]| {
        let sum: u32 = (0..16).map(|p| u32::from(map.get(p * PAGE))).sum();
        let data = DATA.load(Ordering::SeqCst);
        say!("{who}: data {data} heap {} stack {} map {sum}", heap[9000], stack[63]);
    };
    let end = child::run(|| {
        show("child before", &heap, &stack);
        heap[9000] = 2;
        std::hint::black_box(&mut stack)[63] = 2;
        DATA.store(2, Ordering::SeqCst);
        (0..8).for_each(|p| map.set(p * PAGE, 2));
        let nested = child::run(|| {
            show("grandchild before", &heap, &stack);
            heap[9000] = 3;
            stack[63] = 3;
            DATA.store(3, Ordering::SeqCst);
            (0..16).for_each(|p| map.set(p * PAGE, 3));
            show("grandchild after", &heap, &stack);
            3
        });
        say!("grandchild {nested}");
        show("child after", &heap, &stack);
        2
    });
    say!("child {end}");
    show("parent", &heap, &stack);
    parent_writes(&map);
    0
}

/// The parent writes first; the child must still see what was there at the fork.
fn parent_writes(map: &Map) {
    let (rx, tx) = crate::sys::file::pipe();
    let pid = child::start(|| {
        let _ = crate::sys::file::read(rx, &mut [0]);
        let old = (0..16).filter(|p| map.get(p * PAGE) == 1).count();
        say!("child sees {old} old pages after the parent wrote");
        0
    });
    (0..16).for_each(|p| map.set(p * PAGE, 9));
    let _ = crate::sys::file::write(tx, b"x");
    say!("{}", child::end_of(pid));
}
