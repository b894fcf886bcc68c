//! POSIX access control lists: kept, checked, inherited, and in step with the mode.
use super::{alone, mount};
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::{Plain, child, file, process};
use std::ffi::CStr;

const ACCESS: &CStr = c"system.posix_acl_access";
const DEFAULT: &CStr = c"system.posix_acl_default";
const NONE: u32 = u32::MAX;

fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, perm, id) in entries {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&perm.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}

fn shown(path: &CStr, name: &CStr) -> String {
    let mut value = [0; 200];
    match file::getxattr(path, name, &mut value) {
        Ok(n) => value[4..n].chunks(8).map(|e| format!("{:x}:{}:{} ", e[0], e[2], i32::from_le_bytes([e[4], e[5], e[6], e[7]]))).collect(),
        Err(errno) => errno.to_string(),
    }
}

fn mode(path: &CStr) -> String {
    let mut s = libc::stat::zeroed();
    let _ = file::stat(path, &mut s);
    format!("{:o}", s.st_mode)
}

fn as_user(uid: u32, gid: u32, path: &CStr) {
    let end = child::run(|| {
        let _ = process::setgroups(&[]);
        let _ = process::setresgid(gid, gid, gid);
        let _ = process::setresuid(uid, uid, uid);
        say!("  {uid}:{gid} read {:?} write {:?} execute {:?} open {:?}", file::access(path, 4), file::access(path, 2), file::access(path, 1),
            file::open(path, libc::O_RDWR, 0).map(|_| ()));
        0
    });
    if end != "exited 0" {
        say!("{end}");
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"t", 0o755);
    show("mount", mount(c"t", c"t", c"tmpfs", 0));
    file::make(c"t/f", b"text", 0o640);
    let _ = file::chown(c"t/f", 10, 20);
    say!("{}", shown(c"t/f", ACCESS));
    let full = [(1, 6, NONE), (2, 7, 1000), (4, 4, NONE), (8, 6, 50), (16, 7, NONE), (32, 0, NONE)];
    show("set", file::setxattr(c"t/f", ACCESS, &list(&full), 0));
    say!("{} {}", shown(c"t/f", ACCESS), mode(c"t/f"));
    for (uid, gid) in [(10, 1), (1000, 1), (1001, 20), (1001, 50), (1001, 1)] {
        as_user(uid, gid, c"t/f");
    }
    show("chmod", file::chmod(c"t/f", 0o644));
    say!("{} {}", shown(c"t/f", ACCESS), mode(c"t/f"));
    for (uid, gid) in [(1000, 1), (1001, 50), (1001, 1)] {
        as_user(uid, gid, c"t/f");
    }
    show("what a mode says", file::setxattr(c"t/f", ACCESS, &list(&[(1, 7, NONE), (4, 5, NONE), (32, 1, NONE)]), 0));
    say!("{} {}", shown(c"t/f", ACCESS), mode(c"t/f"));
    show("no mask", file::setxattr(c"t/f", ACCESS, &list(&[(1, 6, NONE), (2, 7, 1000), (4, 4, NONE), (32, 0, NONE)]), 0));
    show("disorder", file::setxattr(c"t/f", ACCESS, &list(&[(4, 6, NONE), (1, 7, NONE), (32, 0, NONE)]), 0));
    show("short", file::setxattr(c"t/f", ACCESS, &[2, 0, 0], 0));
    show("another version", file::setxattr(c"t/f", ACCESS, &[1, 0, 0, 0], 0));
    show("default of a file", file::setxattr(c"t/f", DEFAULT, &list(&full), 0));
    let _ = file::mkdir(c"t/d", 0o755);
    show("default", file::setxattr(c"t/d", DEFAULT, &list(&full), 0));
    say!("{} / {}", shown(c"t/d", ACCESS), shown(c"t/d", DEFAULT));
    let _ = file::umask(0o077);
    file::make(c"t/d/f", b"", 0o666);
    show("mkdir", file::mkdir(c"t/d/e", 0o777));
    show("symlink", file::symlink(c"f", c"t/d/l"));
    show("fifo", file::mknod(c"t/d/p", libc::S_IFIFO | 0o660, 0));
    for path in [c"t/d/f", c"t/d/e", c"t/d/p"] {
        say!("{} {} / {}", mode(path), shown(path, ACCESS), shown(path, DEFAULT));
    }
    let mut names = [0; 200];
    let n = file::listxattr(c"t/d/e", &mut names).unwrap_or(0);
    say!("{:?}", String::from_utf8_lossy(&names[..n]));
    show("remove", file::removexattr(c"t/d", DEFAULT));
    show("remove again", file::removexattr(c"t/d", DEFAULT));
    say!("{}", shown(c"t/d", DEFAULT));
    say!("{}", child::run(|| {
        let _ = process::setresuid(1000, 1000, 1000);
        show("another's", file::setxattr(c"t/f", ACCESS, &list(&full), 0));
        show_ok("seen by others", file::getxattr(c"t/d/e", DEFAULT, &mut [0; 200]));
        0
    }));
    show("detach", file::umount2(c"t", libc::MNT_DETACH));
    0
}
