//! Overlay mounts, with every layer in a tmpfs of its own.
use crate::out::show;
use crate::sys::{Plain, file, process};
use std::ffi::{CStr, CString};

crate::behaviour::behaviours! { "overlay":
    copy_up ["root"], whiteouts ["root"], listing ["root"], renames ["root"], links ["root"], layers ["root"], options ["root"],
    attributes ["root"], opened ["root"], executed ["root"],
}

/// A tmpfs at `t` with the directories low, low2, up, work and m.
fn prepare() {
    let _ = process::unshare(libc::CLONE_NEWNS);
    let _ = file::mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE, None);
    let _ = file::mkdir(c"t", 0o755);
    show("tmpfs", file::mount(c"t", c"t", c"tmpfs", 0, None));
    show("enter", file::chdir(c"t"));
    for dir in [c"low", c"low2", c"up", c"work", c"m"] {
        let _ = file::mkdir(dir, 0o755);
    }
}

/// Mounts low, up and work at m.
fn overlay() {
    overlay_with(c"lowerdir=low,upperdir=up,workdir=work");
}

fn overlay_with(options: &CStr) {
    show(
        "overlay",
        file::mount(c"over", c"m", c"overlay", 0, Some(options)),
    );
}

/// Leaves it all.
fn leave() {
    show("umount", file::umount2(c"m", 0));
    let _ = file::chdir(c"..");
    show("detach", file::umount2(c"t", libc::MNT_DETACH));
}

/// The names in a directory with what they are, sorted; and whether each has the number that `stat` tells.
fn names(path: &CStr) -> String {
    let Ok(fd) = file::fd(file::open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0)) else {
        return String::from("none");
    };
    let (mut buf, mut list) = (vec![0u8; 4096], Vec::new());
    while let Ok(n @ 1..) = file::getdents64(fd, &mut buf) {
        let mut at = 0;
        while at < n {
            let length = usize::from(u16::from_le_bytes([buf[at + 16], buf[at + 17]]));
            let ino = u64::from_le_bytes(buf[at..at + 8].try_into().unwrap_or_default());
            let name: Vec<u8> = buf[at + 19..at + length]
                .iter()
                .copied()
                .take_while(|b| *b != 0)
                .collect();
            if !name.starts_with(b".") {
                let full =
                    CString::new([path.to_bytes(), b"/", &name].concat()).unwrap_or_default();
                let mut s = libc::stat::zeroed();
                // Directories of several layers may show that of one of their parts.
                let same = file::lstat(&full, &mut s).is_ok()
                    && (s.st_ino == ino || buf[at + 18] == libc::DT_DIR);
                list.push(format!(
                    "{}:{}{}",
                    String::from_utf8_lossy(&name),
                    buf[at + 18],
                    if same { "" } else { "!" }
                ));
            }
            at += length;
        }
    }
    let _ = file::close(fd);
    list.sort();
    list.join(" ")
}

/// What is there: kind, mode, links, owner, size.
fn line(path: &CStr) -> String {
    let mut s = libc::stat::zeroed();
    match file::lstat(path, &mut s) {
        Ok(_) => {
            // Directories' sizes and links are each file system's own, and whiteouts may be one file with many names.
            let is_plain = matches!(s.st_mode & libc::S_IFMT, libc::S_IFREG | libc::S_IFLNK);
            let (links, size) = if is_plain {
                (s.st_nlink, s.st_size)
            } else {
                (0, 0)
            };
            format!(
                "{:o} links {links} {}:{} size {size}",
                s.st_mode, s.st_uid, s.st_gid
            )
        }
        Err(errno) => errno.to_string(),
    }
}
