//! Where pseudo terminals are: their names, numbers and owners; ptmx; what is in /dev/pts when a
//! master comes and goes.
use crate::out::{say, show_ok};
use crate::sys::{Plain, file, process, tty};
use std::ffi::CStr;

fn stat(path: &CStr) -> Option<libc::stat> {
    let mut out = libc::stat::zeroed();
    file::stat(path, &mut out).ok().map(|_| out)
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pair = tty::pair();
    let name = tty::name(pair.master);
    let number = tty::get(pair.master, libc::TIOCGPTN).unwrap_or(-1);
    let (by_name, mut by_fd) = (stat(&name), libc::stat::zeroed());
    let _ = file::fstat(pair.slave, &mut by_fd);
    if let Some(found) = by_name {
        say!("same {}", (found.st_dev, found.st_ino) == (by_fd.st_dev, by_fd.st_ino));
        say!("type {:o} links {}", found.st_mode & libc::S_IFMT, found.st_nlink);
        say!("major {} minor right {}", libc::major(found.st_rdev), libc::minor(found.st_rdev) as i32 == number);
        say!("inode right {}", found.st_ino as i32 == number + 3);
        say!("owner {}", found.st_uid == process::getuid().unwrap_or(1) as u32);
    }
    let link = std::fs::read_link(format!("/proc/self/fd/{}", pair.slave));
    say!("link {}", link.is_ok_and(|link| link.to_str() == name.to_str().ok()));
    let mut master = libc::stat::zeroed();
    let _ = file::fstat(pair.master, &mut master);
    say!("ptmx {}:{}", libc::major(master.st_rdev), libc::minor(master.st_rdev));
    say!("device {:#x}", tty::get(pair.slave, libc::TIOCGDEV).unwrap_or(0) - number);
    say!("device {:#x}", tty::get(pair.master, libc::TIOCGDEV).unwrap_or(0) - number);
    let listed = || {
        let list = std::fs::read_dir("/dev/pts").into_iter().flatten().flatten();
        list.filter(|entry| entry.file_name().to_string_lossy() == number.to_string()).count()
    };
    say!("listed {}", listed());
    show_ok("make", file::open(c"/dev/pts/x", libc::O_CREAT | libc::O_RDWR, 0o600));
    show_ok("make directory", file::mkdir(c"/dev/pts/x", 0o700));
    show_ok("remove", file::unlink(&name));
    show_ok("rename", file::rename(&name, c"/dev/pts/x"));
    let padded = std::ffi::CString::new(format!("/dev/pts/0{number}")).unwrap_or_default();
    show_ok("another name", file::open(&padded, libc::O_RDWR, 0));
    show_ok("chmod", file::chmod(&name, 0o640));
    say!("mode {:o}", stat(&name).map_or(0, |found| found.st_mode & 0o777));
    let mut kind = libc::statfs::zeroed();
    let _ = file::fstatfs(pair.slave, &mut kind);
    say!("kind {:#x}", kind.f_type);
    let _ = file::close(pair.master);
    say!("listed {}", listed());
    show_ok("gone", file::open(&name, libc::O_RDWR | libc::O_NOCTTY, 0));
    // The number is taken until both sides are closed.
    let other = tty::pair();
    say!("another number {}", tty::get(other.master, libc::TIOCGPTN) != Ok(number));
    0
}
