//! A handler at an address that can't run is SIGSEGV, in the handler's place; without a restorer
//! too (sigaction(2), x86-64's setup of frames).
use crate::out::say;
use crate::sys::signal::{self, KernelAction, SA_RESTORER, SET};
use crate::sys::{child, memory::Map};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(4096) else { return 1 };
    for (label, handler) in [
        ("low", 8usize),
        ("not executable", map.addr),
        ("kernel", 0xffff_ffff_8000_0000),
        ("not canonical", 0x0000_8000_0000_0000),
        ("far not canonical", 0x1234_5678_9abc_def0),
    ] {
        say!("{label}: {}", child::run(|| {
            let action = KernelAction { handler, flags: SA_RESTORER, restorer: handler, mask: 0 };
            let _ = signal::rt_sigaction(libc::SIGUSR1, Some(&action), None, SET);
            let _ = signal::raise(libc::SIGUSR1);
            0
        }));
    }
    say!("without SA_RESTORER: {}", child::run(|| {
        let action = KernelAction { handler: child::run as fn(fn() -> i32) -> String as usize, ..KernelAction::default() };
        let _ = signal::rt_sigaction(libc::SIGUSR1, Some(&action), None, SET);
        let _ = signal::raise(libc::SIGUSR1);
        0
    }));
    0
}
