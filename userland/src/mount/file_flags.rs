//! chattr's flags: what an immutable file and an append-only one refuse, and who may set them.
use super::with_tmpfs;
use crate::out::{say, show, show_ok};
use crate::sys::{Plain, child, file, process};
use libc::{AT_FDCWD, O_APPEND, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use std::ffi::CStr;

const GET: u64 = 0x8008_6601;
const SET: u64 = 0x4008_6602;
const IMMUTABLE: u32 = 0x10;
const APPEND: u32 = 0x20;

fn set(path: &CStr, flags: u32) -> crate::sys::Res {
    let fd = file::fd(file::open(path, O_RDONLY, 0))?;
    let done = file::ioctl(fd, SET, (&raw const flags) as usize);
    let _ = file::close(fd);
    done
}

fn get(path: &CStr) -> String {
    let mut flags = 0u32;
    let fd = file::open_or_say(path, O_RDONLY, 0);
    let done = file::ioctl(fd, GET, (&raw mut flags) as usize);
    let _ = file::close(fd);
    let mut x = libc::statx::zeroed();
    let _ = file::statx(AT_FDCWD, path, 0, libc::STATX_BASIC_STATS, &mut x);
    format!("{done:?} {flags:#x} statx {:#x}", x.stx_attributes & 0x74)
}

fn tries(path: &CStr) {
    show_ok("  write", file::open(path, O_WRONLY, 0).and_then(|fd| file::close(fd as i32)));
    show_ok("  append", file::open(path, O_WRONLY | O_APPEND, 0).and_then(|fd| file::close(fd as i32)));
    show_ok("  both", file::open(path, O_RDWR | O_APPEND | O_TRUNC, 0).and_then(|fd| file::close(fd as i32)));
    show_ok("  read and cut", file::open(path, O_RDONLY | O_TRUNC, 0).and_then(|fd| file::close(fd as i32)));
    show("  access", file::access(path, libc::W_OK));
    show("  truncate", file::truncate(path, 1));
    show("  chmod", file::chmod(path, 0o600));
    show("  chown", file::chown(path, 0, 0));
    show("  times", file::utimensat(AT_FDCWD, Some(path), None, 0));
    let times = [libc::timespec { tv_sec: 1, tv_nsec: 0 }, libc::timespec { tv_sec: 1, tv_nsec: 0 }];
    show("  exact times", file::utimensat(AT_FDCWD, Some(path), Some(&times), 0));
    show("  link", file::link(path, c"t/link"));
    show("  rename", file::rename(path, c"t/renamed"));
    show("  unlink", file::unlink(path));
    show("  attribute", file::setxattr(path, c"trusted.x", b"1", 0));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = with_tmpfs();
    let _ = file::mkdir(c"t/d", 0o755);
    file::make(c"t/d/in", b"", 0o644);
    say!("{}", get(c"t/f"));
    show("immutable", set(c"t/f", IMMUTABLE));
    say!("{}", get(c"t/f"));
    tries(c"t/f");
    show("append only", set(c"t/f", APPEND));
    say!("{}", get(c"t/f"));
    tries(c"t/f");
    let fd = file::open_or_say(c"t/f", O_RDWR | O_APPEND, 0);
    show("appended", file::write(fd, b" and more"));
    show("stop appending", file::fcntl(fd, libc::F_SETFL, 0));
    show("ftruncate", file::ftruncate(fd, 0));
    show("allocate", file::fallocate(fd, 0, 0, 100));
    show("punch", file::fallocate(fd, 3, 0, 10));
    let _ = file::close(fd);
    show("immutable directory", set(c"t/d", IMMUTABLE));
    show_ok("create", file::open(c"t/d/new", libc::O_CREAT | O_WRONLY, 0o644));
    show("mkdir", file::mkdir(c"t/d/e", 0o755));
    show("unlink", file::unlink(c"t/d/in"));
    show("rename in it", file::rename(c"t/d/in", c"t/d/out"));
    show_ok("write in it", file::open(c"t/d/in", O_WRONLY, 0).and_then(|fd| file::close(fd as i32)));
    show("append-only directory", set(c"t/d", APPEND));
    show_ok("create", file::open(c"t/d/new", libc::O_CREAT | O_WRONLY, 0o644).and_then(|fd| file::close(fd as i32)));
    show("unlink", file::unlink(c"t/d/new"));
    show("rmdir", file::rmdir(c"t/d"));
    show("none", set(c"t/d", 0));
    show("no dump", set(c"t/d", 0x40));
    say!("{}", get(c"t/d"));
    show("unknown", set(c"t/d", 0x8000_0000));
    say!("{}", child::run(|| {
        let _ = file::chown(c"t/d", 1000, 1000);
        let _ = process::setresuid(1000, 1000, 1000);
        show("by the owner", set(c"t/d", IMMUTABLE));
        show("by the owner, harmless", set(c"t/d", 0));
        show("of another's", set(c"t/f", APPEND));
        0
    }));
    show("on a device", set(c"/dev/null", 0));
    show("none", set(c"t/f", 0));
    show("umount", file::umount2(c"t", 0));
    0
}
