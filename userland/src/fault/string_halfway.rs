//! A fault in the middle of `rep movsb` leaves the registers where it stopped; it goes on from
//! there when the mapping is mended.
use crate::out::say;
use crate::sys::{memory::{self, Map, PAGE}, signal};
use std::arch::asm;
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

static LEFT: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_fault(_: i32, info: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    // SAFETY: a fault's siginfo carries an address.
    let addr = unsafe { info.si_addr() } as usize;
    LEFT.store(context.uc_mcontext.gregs[libc::REG_RCX as usize] as usize, SeqCst);
    let _ = memory::mprotect(addr & !(PAGE - 1), PAGE, libc::PROT_READ | libc::PROT_WRITE);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGSEGV, on_fault, 0, 0);
    let (Ok(from), Ok(to)) = (Map::anon(2 * PAGE), Map::anon(2 * PAGE)) else { return 1 };
    (0..2 * PAGE).for_each(|i| from.set(i, (i % 251) as u8));
    let _ = to.protect(PAGE, PAGE, libc::PROT_NONE);
    // SAFETY: both mappings hold as many bytes.
    unsafe {
        asm!("rep movsb", inout("rsi") from.addr => _, inout("rdi") to.addr => _, inout("rcx") 2 * PAGE => _);
    }
    say!("left at the fault {}", LEFT.load(SeqCst));
    say!("all copied {}", (0..2 * PAGE).all(|i| to.get(i) == (i % 251) as u8));
    0
}
