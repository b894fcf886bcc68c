//! Overlay's options, and what is refused.
use super::prepare;
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    prepare();
    let _ = file::mkdir(c"a:b", 0o755);
    file::make(c"a:b/f", b"colon", 0o644);
    file::make(c"file", b"", 0o644);
    for options in [
        c"lowerdir=low", c"upperdir=up,workdir=work", c"lowerdir=low,upperdir=up", c"lowerdir=none,upperdir=up,workdir=work",
        c"lowerdir=low,upperdir=none,workdir=work", c"lowerdir=file,upperdir=up,workdir=work", c"lowerdir=low,upperdir=up,workdir=up",
        c"lowerdir=low,upperdir=up,workdir=up/../up", c"lowerdir=low,upperdir=up,workdir=work,nonsense", c"lowerdir=low,upperdir=up,workdir=/proc",
        c"lowerdir=a\\:b:low,upperdir=up,workdir=work,redirect_dir=off", c"lowerdir=low:low2", c"",
    ] {
        say!("{}", options.to_string_lossy());
        let done = file::mount(c"over", c"m", c"overlay", 0, Some(options));
        show("  mount", done);
        if done.is_ok() {
            say!("  {}", file::text(c"m/f"));
            let mut s = libc::statfs::zeroed();
            show("  statfs", file::statfs(c"m", &mut s));
            say!("  type {:#x}", s.f_type);
            show("  umount", file::umount2(c"m", 0));
        }
    }
    let _ = file::chdir(c"..");
    show("detach", file::umount2(c"t", libc::MNT_DETACH));
    0
}
