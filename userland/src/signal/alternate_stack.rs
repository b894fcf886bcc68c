//! sigaltstack(2): SA_ONSTACK handlers run on it, nested ones too, others don't; a stack overflow
//! can be handled there.
use crate::out::{say, show};
use crate::sys::memory::Map;
use crate::sys::{Plain, child, process, signal};
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const SIZE: usize = 65_536;
static BASE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_signal(sig: i32, _: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    let here = (&raw const sig) as usize;
    let base = BASE.load(SeqCst);
    let mut stack = libc::stack_t::zeroed();
    let _ = signal::sigaltstack(None, Some(&mut stack));
    let inside = (base..base + SIZE).contains(&here);
    let flags = context.uc_stack.ss_flags;
    say!("{}: inside {inside} flags {} saved {flags}", signal::name(sig), stack.ss_flags);
    if sig == libc::SIGUSR1 {
        show("change it now", signal::sigaltstack(Some(&stack), None));
        let _ = signal::raise(libc::SIGUSR2);
    }
    if sig == libc::SIGSEGV {
        process::exit(44);
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(SIZE) else { return 1 };
    BASE.store(map.addr, SeqCst);
    let mut stack = libc::stack_t::zeroed();
    stack.ss_sp = map.addr as *mut _;
    stack.ss_size = SIZE;
    show("set", signal::sigaltstack(Some(&stack), None));
    let _ = signal::handle(libc::SIGUSR1, on_signal, libc::SA_ONSTACK, 0);
    let _ = signal::handle(libc::SIGUSR2, on_signal, libc::SA_ONSTACK, 0);
    let _ = signal::handle(libc::SIGHUP, on_signal, 0, 0);
    let _ = signal::raise(libc::SIGUSR1);
    let _ = signal::raise(libc::SIGHUP);
    say!("overflow: {}", child::run(|| {
        let _ = signal::handle(libc::SIGSEGV, on_signal, libc::SA_ONSTACK, 0);
        endless(0) as i32
    }));
    say!("without it: {}", child::run(|| {
        let _ = signal::handle(libc::SIGSEGV, on_signal, 0, 0);
        endless(0) as i32
    }));
    0
}

#[allow(unconditional_recursion, reason = "the stack is meant to overflow")]
#[inline(never)]
fn endless(depth: u64) -> u64 {
    let block = std::hint::black_box([depth; 256]);
    endless(depth + 1) + block[17]
}
