//! tmpfs's options: which there are, how they show, and what a remount changes.
use super::{alone, show_info};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use libc::MS_REMOUNT;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"t", 0o755);
    for options in [
        c"size=1m", c"size=1m,nr_inodes=20", c"nr_blocks=17,mode=700,uid=12,gid=13", c"size=5000,mode=1777", c"mode=0", c"size=0x10000",
        c"size=010000", c"size=4k,size=8k", c"uid=0,gid=0", c"size=1mm", c"mode=abc", c"uid=-1", c"size", c"what=1", c"size=1m,,mode=755", c"size=x",
        c"nr_inodes=0,size=4k", c"huge=advise", c"huge=never,mode=711", c"huge=often",
    ] {
        say!("{}", options.to_string_lossy());
        let done = file::mount(c"t", c"t", c"tmpfs", 0, Some(options));
        show("  mount", done);
        if done.is_err() {
            continue;
        }
        show_info("/t");
        let (mut s, mut fs) = (libc::stat::zeroed(), libc::statfs::zeroed());
        let _ = (file::stat(c"t", &mut s), file::statfs(c"t", &mut fs));
        say!("  {:o} {}:{} links {} size {}", s.st_mode, s.st_uid, s.st_gid, s.st_nlink, s.st_size);
        if options.to_bytes().starts_with(b"size") || options.to_bytes().starts_with(b"nr_") {
            say!("  type {:#x} blocks {} free {} {} of {}", fs.f_type, fs.f_blocks, fs.f_bfree, fs.f_bavail, fs.f_bsize);
        }
        if options.to_bytes().windows(9).any(|part| part == b"nr_inodes") {
            say!("  files {} free {}", fs.f_files, fs.f_ffree);
        }
        show("  umount", file::umount2(c"t", 0));
    }
    for options in [c"", c"mode=700", c"mode=1777,size=5", c"mode=9"] {
        show(&format!("ramfs {options:?}"), file::mount(c"t", c"t", c"ramfs", 0, Some(options)));
        show_info("/t");
        let mut s = libc::stat::zeroed();
        let _ = file::stat(c"t", &mut s);
        say!("  {:o}", s.st_mode);
        show("  umount", file::umount2(c"t", 0));
    }
    show("mount", file::mount(c"t", c"t", c"tmpfs", 0, Some(c"size=64k,nr_inodes=10,mode=750")));
    file::make(c"t/f", &[1; 20000], 0o644);
    for options in [c"size=8k", c"size=32k", c"nr_inodes=1", c"nr_inodes=5", c"mode=777", c"bad", c"size=0", c"size=64k"] {
        show(&options.to_string_lossy(), file::mount(c"t", c"t", c"tmpfs", MS_REMOUNT, Some(options)));
        show_info("/t");
    }
    show("umount", file::umount2(c"t", 0));
    0
}
