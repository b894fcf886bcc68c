//! prctl(PR_SET_PDEATHSIG): the child gets the signal when its parent ends; fork clears it.
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
    show("bad signal", process::prctl(libc::PR_SET_PDEATHSIG, 65, 0, 0, 0));
    0
}
