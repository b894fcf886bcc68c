//! A file's status in one line, without what differs from run to run.
use crate::sys::{Plain, file};
use std::ffi::CStr;

/// Kind, mode, links, owner, size of a path, its last link not followed; or the error.
pub(super) fn line(path: &CStr) -> String {
    let mut s = libc::stat::zeroed();
    match file::lstat(path, &mut s) {
        Ok(_) => of(&s),
        Err(errno) => errno.to_string(),
    }
}

/// The same of a structure.
pub(super) fn of(s: &libc::stat) -> String {
    let kind = match s.st_mode & libc::S_IFMT {
        libc::S_IFREG => "file",
        libc::S_IFDIR => "directory",
        libc::S_IFLNK => "link",
        libc::S_IFCHR => "character device",
        libc::S_IFBLK => "block device",
        libc::S_IFIFO => "fifo",
        libc::S_IFSOCK => "socket",
        _ => "unknown",
    };
    let mode = s.st_mode & 0o7777;
    // A directory's size and links are the file system's own affair.
    if kind == "directory" {
        return format!("{kind} {mode:04o} {}:{}", s.st_uid, s.st_gid);
    }
    format!(
        "{kind} {mode:04o} links {} {}:{} size {}",
        s.st_nlink, s.st_uid, s.st_gid, s.st_size
    )
}
