//! A SIGSEGV handler that mends the mapping and returns lets the instruction run again.
use crate::out::say;
use crate::sys::{memory::{self, Map, PAGE}, signal};
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

static FAULTS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_fault(_: i32, info: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    // SAFETY: a fault's siginfo carries an address.
    let addr = unsafe { info.si_addr() } as usize;
    FAULTS.fetch_add(1, SeqCst);
    let _ = memory::mprotect(addr & !(PAGE - 1), PAGE, libc::PROT_READ | libc::PROT_WRITE);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGSEGV, on_fault, 0, 0);
    let Ok(map) = Map::new(64 * PAGE, libc::PROT_NONE, libc::MAP_PRIVATE, -1, 0) else { return 1 };
    (0..64).for_each(|p| map.set(p * PAGE + p, p as u8 + 1));
    let right = (0..64).filter(|p| map.get(p * PAGE + p) == *p as u8 + 1).count();
    say!("faults {} right {right}", FAULTS.load(SeqCst));
    let _ = map.protect(0, 64 * PAGE, libc::PROT_READ);
    (0..64).for_each(|p| map.set(p * PAGE + p, 200));
    say!("faults {}", FAULTS.load(SeqCst));
    0
}
