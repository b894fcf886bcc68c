//! Each mount of devpts is an instance of its own: its numbers, its ptmx, its options.
use crate::out::{say, show, show_ok};
use crate::sys::{Plain, file, time, tty};
use std::ffi::CStr;

const FLAGS: i32 = libc::O_RDWR | libc::O_NOCTTY;

fn number(master: i32) -> Result<i32, crate::sys::Errno> {
    tty::get(master, libc::TIOCGPTN)
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let place = c"/tmp/behave_pts";
    let _ = file::mkdir(place, 0o700);
    let mount = |options: &CStr| file::mount(c"none", place, c"devpts", 0, Some(options));
    show("wrong option", mount(c"colour=red"));
    show("wrong mode", mount(c"mode=9"));
    let mounted = mount(c"newinstance,uid=5,gid=6,mode=604,ptmxmode=666,max=2");
    show("mount", mounted);
    if mounted.is_err() {
        return 0;
    }
    let ptmx = c"/tmp/behave_pts/ptmx";
    let first = file::open_or_say(ptmx, FLAGS, 0);
    let second = file::open_or_say(ptmx, FLAGS, 0);
    say!("{:?} {:?}", number(first), number(second));
    show("a third", file::open(ptmx, FLAGS, 0));
    let mut stat = libc::stat::zeroed();
    show("stat", file::stat(c"/tmp/behave_pts/1", &mut stat));
    say!("mode {:o} owner {} {} inode {}", stat.st_mode, stat.st_uid, stat.st_gid, stat.st_ino);
    let _ = tty::set(second, libc::TIOCSPTLCK, 0);
    let peer = file::ioctl(second, libc::TIOCGPTPEER, FLAGS as usize);
    show_ok("peer", peer);
    let link = std::fs::read_link(format!("/proc/self/fd/{}", peer.unwrap_or(0)));
    say!("{link:?}");
    let _ = file::close(first);
    let _ = file::close(second);
    let _ = time::sleep_ms(20);
    let again = file::open_or_say(ptmx, FLAGS, 0);
    let other = file::open(ptmx, FLAGS, 0);
    say!("the lowest free number {:?}", number(again));
    show("the other's slave is open", other);
    let _ = file::close(peer.unwrap_or(0) as i32);
    let _ = time::sleep_ms(20);
    let other = file::open_or_say(ptmx, FLAGS, 0);
    say!("the next {:?}", number(other));
    let mut names: Vec<String> = std::fs::read_dir("/tmp/behave_pts")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    say!("{names:?}");
    let _ = file::stat(place, &mut stat);
    say!("root {:o} links {} inode {}", stat.st_mode, stat.st_nlink, stat.st_ino);
    let shown = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let line = shown.lines().find(|line| line.contains("behave_pts"));
    say!("{line:?}");
    // A node elsewhere belongs to the instance on the `pts` beside it.
    let device = libc::makedev(5, 2);
    let own = crate::scratch::Scratch::enter();
    show("node", file::mknod(c"ptmx", libc::S_IFCHR | 0o600, device));
    show("nothing beside it", file::open(c"ptmx", FLAGS, 0));
    drop(own);
    show("unmount", file::umount2(place, libc::MNT_DETACH));
    show("still works", file::write(again, b"x"));
    show("its slave", file::ioctl(again, libc::TIOCGPTPEER, FLAGS as usize));
    for fd in [again, other] {
        let _ = file::close(fd);
    }
    show("remove", file::rmdir(place));
    0
}
