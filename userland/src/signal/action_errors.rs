//! rt_sigaction(2) errors: bad numbers, SIGKILL and SIGSTOP, sizes, pointers.
use crate::out::show;
use crate::sys::signal::{self, KernelAction, SET, SIG_IGN};
use crate::sys;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for sig in [0, -1, 65, 1000, libc::SIGKILL, libc::SIGSTOP] {
        show(&format!("ignore {sig}"), signal::set(sig, SIG_IGN));
        show(&format!("query {sig}"), signal::current(sig).map(|a| a.handler));
    }
    let action = KernelAction::default();
    show("bad size", signal::rt_sigaction(libc::SIGUSR1, Some(&action), None, SET * 2));
    // SAFETY: the kernel refuses the address.
    show("bad new", unsafe { sys::call(libc::SYS_rt_sigaction, [10, 8, 0, SET, 0, 0]) });
    // SAFETY: the kernel refuses the address.
    show("bad old", unsafe { sys::call(libc::SYS_rt_sigaction, [10, 0, 8, SET, 0, 0]) });
    show("kill 65", signal::raise(65));
    show("kill -1", signal::raise(-1));
    show("kill 0", signal::raise(0));
    show("tgkill bad tid", signal::tgkill(-1, 5, 0));
    let me = sys::process::getpid().unwrap_or(0) as i32;
    show("tgkill no such thread", signal::tgkill(me, 0x3fff_fff0, 0));
    show("tkill 0", signal::tkill(0, 0));
    0
}
