//! Rights that are taken away are gone at once, for a page that was written just before: after
//! mprotect(2), and after fork(2), whose child must not see what its parent writes next.
use crate::out::say;
use crate::sys::{child, memory::{self, Map, PAGE}, signal, time};
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
    let Ok(map) = Map::anon(40 * PAGE) else { return 1 };
    for round in 0..20 {
        map.set(0, round);
        let _ = map.protect(0, PAGE, libc::PROT_READ);
        map.set(0, round + 1);
    }
    say!("one page: faults {}", FAULTS.swap(0, SeqCst));
    (0..40).for_each(|page| map.set(page * PAGE, 1));
    let _ = map.protect(0, 40 * PAGE, libc::PROT_READ);
    (0..40).for_each(|page| map.set(page * PAGE, 2));
    say!("forty pages: faults {}", FAULTS.load(SeqCst));
    let mut kept = 0;
    for round in 0..20 {
        map.set(PAGE, round);
        let pid = child::start(|| {
            let _ = time::sleep_ms(5);
            i32::from(map.get(PAGE))
        });
        map.set(PAGE, 100);
        kept += i32::from(child::end_of(pid) == format!("exited {round}"));
    }
    say!("forks kept apart: {kept}");
    0
}
