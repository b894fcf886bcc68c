//! Several pending signals unblocked at once: a frame for each is built, the lowest number's
//! first, so that the highest runs first, unless the handlers' masks forbid it (signal(7)).
use crate::out::say;
use crate::sys::signal::{self, bit};
use std::ffi::CStr;

const ALL: [i32; 5] = [libc::SIGTERM, libc::SIGHUP, libc::SIGUSR2, libc::SIGUSR1, 40];

extern "C" fn on_signal(sig: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("  {}", signal::name(sig));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let set = ALL.iter().fold(0, |set, sig| set | bit(*sig));
    for (label, mask) in [("plain", 0), ("handlers block all", u64::MAX)] {
        say!("{label}");
        let _ = signal::block(set);
        for sig in ALL {
            let _ = signal::handle(sig, on_signal, 0, mask);
            let _ = signal::raise(sig);
        }
        let _ = signal::unblock(set);
    }
    0
}
