//! MNT_EXPIRE: marked first, gone the second time unless somebody came by.
use super::{alone, mount};
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use libc::{MNT_DETACH, MNT_EXPIRE, MNT_FORCE};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"t", 0o755);
    show("mount", mount(c"t", c"t", c"tmpfs", 0));
    show("with force", file::umount2(c"t", MNT_EXPIRE | MNT_FORCE));
    show("with detach", file::umount2(c"t", MNT_EXPIRE | MNT_DETACH));
    file::make(c"t/f", b"", 0o644);
    let fd = file::open_or_say(c"t/f", libc::O_RDONLY, 0);
    show("busy", file::umount2(c"t", MNT_EXPIRE));
    let _ = file::close(fd);
    show("marked", file::umount2(c"t", MNT_EXPIRE));
    show("looked at", file::stat(c"t/f", &mut libc::stat::zeroed()));
    show("marked again", file::umount2(c"t", MNT_EXPIRE));
    show("gone", file::umount2(c"t", MNT_EXPIRE));
    show("not mounted", file::umount2(c"t", MNT_EXPIRE));
    0
}
