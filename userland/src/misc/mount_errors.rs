//! mount(2), umount2(2): errors that leave everything as it is.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"d", 0o700);
    show("umount what isn't mounted", file::umount2(c"d", 0));
    show("umount missing", file::umount2(c"none", 0));
    say!("{}", child::run(|| {
        let _ = process::setresuid(1000, 1000, 1000);
        show("mount by a user", file::mount(c"none", c"/tmp", c"tmpfs", 0, None));
        show("umount by a user", file::umount2(c"/proc", 0));
        0
    }));
    0
}
