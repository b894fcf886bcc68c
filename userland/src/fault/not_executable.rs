//! Running data, the heap or the stack is SIGSEGV with SEGV_ACCERR at the instruction (NX).
use super::probe;
use crate::out::say;
use crate::sys::memory::{Map, PAGE};
use std::arch::asm;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};

/// `ret`.
static DATA: AtomicU8 = AtomicU8::new(0xc3);
static HEAP: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("data");
    probe::children(usize::MAX, || call(DATA.as_ptr() as usize));
    let Ok(map) = Map::anon(PAGE) else { return 1 };
    map.set(0, 0xc3);
    HEAP.store(map.addr, SeqCst);
    say!("mapping");
    probe::children(usize::MAX, || call(HEAP.load(SeqCst)));
    say!("stack");
    probe::all(usize::MAX, || {
        let code = std::hint::black_box([0xc3u8; 16]);
        call(code.as_ptr() as usize);
    })
}

fn call(address: usize) {
    // SAFETY: the fault ends the process (and a `ret` would come back). Read before, the page is
    // present.
    unsafe { asm!("mov al, [{0}]", "call {0}", in(reg) address, clobber_abi("C")) }
}
