//! prctl(PR_SET_PDEATHSIG): the child gets the signal when its parent ends, or the thread
//! that made it; fork clears it.
use crate::out::{say, show};
use crate::sys::{child, file, process, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let (ready_rx, ready_tx) = file::pipe();
    let middle = child::start(|| {
        let _ = child::start(|| {
            show("set", process::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as usize, 0, 0, 0));
            let mut sig = 0i32;
            let out = (&raw mut sig) as usize;
            show("get", process::prctl(libc::PR_GET_PDEATHSIG, out, 0, 0, 0));
            say!("{}", signal::name(sig));
            let _ = child::run(|| {
                let _ = process::prctl(libc::PR_GET_PDEATHSIG, out, 0, 0, 0);
                say!("a child's: {sig}");
                0
            });
            let _ = file::write(ready_tx, b"x");
            loop {
                let _ = signal::pause();
            }
        });
        let _ = file::read(ready_rx, &mut [0]);
        0
    });
    say!("middle {}", child::end_of(middle));
    let _ = file::close(tx);
    show("its descriptor is closed", file::read(rx, &mut [0]));
    of_thread();
    show("bad signal", process::prctl(libc::PR_SET_PDEATHSIG, 65, 0, 0, 0));
    0
}

/// The maker is a thread: its end tells the child, and the process's later.
fn of_thread() {
    let (ready_rx, ready_tx) = file::pipe();
    let (go_rx, go_tx) = file::pipe();
    let (rx, tx) = file::pipe();
    let middle = child::start(|| {
        let made = std::thread::spawn(move || {
            let _ = child::start(|| {
                let _ = signal::block(signal::bit(libc::SIGUSR1));
                let _ = process::prctl(libc::PR_SET_PDEATHSIG, libc::SIGUSR1 as usize, 0, 0, 0);
                for _ in 0..2 {
                    let _ = file::write(ready_tx, b"x");
                    let mut info = signal::info();
                    let wait = crate::sys::time::spec(5, 0);
                    let sig = signal::rt_sigtimedwait(&signal::bit(libc::SIGUSR1), Some(&mut info), Some(&wait), signal::SET);
                    say!("a thread's child: {sig:?} code {}", info.si_code);
                }
                let _ = file::write(tx, b"x");
                0
            });
            let _ = file::read(go_rx, &mut [0]);
        });
        let _ = file::read(ready_rx, &mut [0]);
        let _ = file::write(go_tx, b"x");
        let _ = made.join();
        // The child has been told, and the process goes on.
        let _ = file::read(ready_rx, &mut [0]);
        0
    });
    let end = child::end_of(middle);
    let _ = file::read(rx, &mut [0]);
    say!("its process {end}");
}
