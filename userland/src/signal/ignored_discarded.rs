//! Setting a pending, blocked signal to be ignored discards it, also when the default is to
//! ignore; a blocked ignored signal isn't kept (sigaction(2)).
use crate::out::say;
use crate::sys::signal::{self, SIG_DFL, SIG_IGN, bit, mask_names};
use std::ffi::CStr;

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (sig, disposition) in [(libc::SIGUSR1, SIG_IGN), (libc::SIGURG, SIG_DFL), (libc::SIGCHLD, SIG_DFL), (40, SIG_IGN)] {
        let _ = signal::handle(sig, on_signal, 0, 0);
        let _ = signal::block(bit(sig));
        let _ = signal::raise(sig);
        say!("pending {}", mask_names(signal::pending()));
        let _ = signal::set(sig, disposition);
        say!("then {}", mask_names(signal::pending()));
        let _ = signal::raise(sig);
        say!("sent again {}", mask_names(signal::pending()));
        let _ = signal::unblock(bit(sig));
    }
    0
}
