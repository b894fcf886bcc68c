//! rt_sigaction(2) gives back what was set, flags and mask as the kernel keeps them.
use crate::out::{say, show};
use crate::sys::signal::{self, KernelAction, SET};
use std::ffi::CStr;

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let all = u64::MAX;
    show("set", signal::handle(libc::SIGUSR1, on_signal, libc::SA_RESTART | libc::SA_NODEFER, all));
    match signal::current(libc::SIGUSR1) {
        Ok(action) => {
            say!("handler kept: {}", action.handler == on_signal as *const () as usize);
            say!("flags {:#x} mask without {}", action.flags, signal::mask_names(!action.mask));
        }
        Err(errno) => say!("query: {errno}"),
    }
    let mut old = KernelAction::default();
    let new = KernelAction { handler: signal::SIG_IGN, ..KernelAction::default() };
    show("swap", signal::rt_sigaction(libc::SIGUSR1, Some(&new), Some(&mut old), SET));
    say!("old was the handler: {}", old.handler == on_signal as *const () as usize);
    say!("now ignored: {}", signal::current(libc::SIGUSR1).map(|a| a.handler) == Ok(1));
    let odd = KernelAction { handler: 0, flags: 0xffff_ffff, restorer: 0, mask: 0 };
    show("all flags", signal::rt_sigaction(libc::SIGUSR2, Some(&odd), None, SET));
    say!("kept {:#x}", signal::current(libc::SIGUSR2).map_or(0, |a| a.flags));
    0
}
