//! When a parent ends, its child gets another parent and goes on; the grandparent can't wait
//! for it.
use crate::out::{say, show};
use crate::sys::{child, file, process, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let me = process::getpid();
    let (rx, tx) = file::pipe();
    let middle = child::start(|| {
        let own = process::getpid();
        let _ = child::start(|| {
            while process::getppid() == own {
                let _ = time::sleep_ms(1);
            }
            let other = process::getppid() != own && process::getppid() != me;
            let _ = file::write(tx, if other { b"another parent" } else { b"the same" });
            0
        });
        4
    });
    say!("middle {}", child::end_of(middle));
    let _ = file::close(tx);
    say!("orphan: {:?}", file::read_all(rx).map(|b| String::from_utf8_lossy(&b).into_owned()));
    show("not mine", process::wait4(-1, None, 0, None));
    0
}
