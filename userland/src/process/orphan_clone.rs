//! Whoever gets an orphan waits for it as for any child, whatever signal its own parent had chosen
//! (clone(2)'s exit signal), whether it ends before or after that.
use crate::out::{say, show};
use crate::sys::{child, file, process, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("subreaper", process::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    for (signal, waits) in [(0, false), (0, true), (libc::SIGUSR1, false), (libc::SIGUSR1, true)] {
        let (rx, tx) = file::pipe();
        let middle = child::start(|| {
            let own = process::getpid();
            let _ = child::start_on_stack(signal, || {
                while waits && process::getppid() == own {
                    let _ = time::sleep_ms(1);
                }
                let _ = file::write(tx, b"x");
                7
            });
            if !waits {
                let _ = file::read(rx, &mut [0]);
                let _ = time::sleep_ms(20);
            }
            4
        });
        say!("signal {signal}: middle {}", child::end_of(middle));
        say!("orphan {}", child::end_of(-1));
        show("then", process::wait4(-1, None, libc::__WALL, None));
        let _ = file::close(rx);
        let _ = file::close(tx);
    }
    0
}
