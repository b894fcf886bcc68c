//! Real-time signals queue, each with its value, in order, lowest number first; standard ones
//! don't (signal(7), rt_sigqueueinfo(2)).
use crate::out::{say, show};
use crate::sys::signal::{self, SET, bit};
use crate::sys::process;
use std::ffi::CStr;

/// SI_QUEUE, what sigqueue(3) puts into si_code.
const SI_QUEUE: i32 = -1;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let set = bit(40) | bit(41) | bit(libc::SIGUSR1);
    let _ = signal::block(set);
    for (sig, value) in [(41, 1), (40, 2), (40, 3), (libc::SIGUSR1, 4), (41, 5), (libc::SIGUSR1, 6), (40, 7)] {
        show(&format!("queue {sig} {value}"), send(sig, value));
    }
    say!("pending {}", signal::mask_names(signal::pending()));
    let none = crate::sys::time::spec(0, 0);
    loop {
        let mut info = signal::info();
        match signal::rt_sigtimedwait(&set, Some(&mut info), Some(&none), SET) {
            // SAFETY: a queued signal carries a value.
            Ok(sig) => say!("{sig}: code {} value {}", info.si_code, unsafe { info.si_value() }.sival_ptr as usize),
            Err(errno) => {
                say!("{errno}");
                break;
            }
        }
    }
    let mut forged = signal::info();
    forged.si_code = 0;
    let parent = process::getppid().unwrap_or(0) as i32;
    show("forged SI_USER to another", signal::rt_sigqueueinfo(parent, 0, &forged));
    0
}

fn send(sig: i32, value: usize) -> crate::sys::Res {
    let mut words = [0u64; 16];
    words[0] = u64::from(sig as u32);
    words[1] = u64::from(SI_QUEUE as u32);
    words[3] = value as u64;
    // SAFETY: siginfo_t is 128 bytes of plain data: signo, errno, code, pad, pid, uid, value.
    let info = unsafe { std::mem::transmute::<[u64; 16], libc::siginfo_t>(words) };
    signal::rt_sigqueueinfo(process::getpid().unwrap_or(0) as i32, sig, &info)
}
