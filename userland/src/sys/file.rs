//! Files, directories, descriptors, pipes.

use super::{Arg, Errno, Res, call, calls};
use std::ffi::CStr;

calls! {
    fn open(path: &CStr, flags: i32, mode: u32) = SYS_open;
    fn openat(dir: i32, path: &CStr, flags: i32, mode: u32) = SYS_openat;
    fn creat(path: &CStr, mode: u32) = SYS_creat;
    fn close(fd: i32) = SYS_close;
    fn close_range(first: u32, last: u32, flags: u32) = SYS_close_range;
    fn lseek(fd: i32, offset: i64, whence: i32) = SYS_lseek;
    fn dup(fd: i32) = SYS_dup;
    fn dup2(old: i32, new: i32) = SYS_dup2;
    fn dup3(old: i32, new: i32, flags: i32) = SYS_dup3;
    fn fcntl(fd: i32, command: i32, arg: usize) = SYS_fcntl;
    fn ioctl(fd: i32, request: u64, arg: usize) = SYS_ioctl;
    fn umask(mask: u32) = SYS_umask;
    fn mkdir(path: &CStr, mode: u32) = SYS_mkdir;
    fn mkdirat(dir: i32, path: &CStr, mode: u32) = SYS_mkdirat;
    fn rmdir(path: &CStr) = SYS_rmdir;
    fn chdir(path: &CStr) = SYS_chdir;
    fn fchdir(fd: i32) = SYS_fchdir;
    fn chroot(path: &CStr) = SYS_chroot;
    fn link(old: &CStr, new: &CStr) = SYS_link;
    fn linkat(old_dir: i32, old: &CStr, new_dir: i32, new: &CStr, flags: i32) = SYS_linkat;
    fn unlink(path: &CStr) = SYS_unlink;
    fn unlinkat(dir: i32, path: &CStr, flags: i32) = SYS_unlinkat;
    fn symlink(target: &CStr, path: &CStr) = SYS_symlink;
    fn symlinkat(target: &CStr, dir: i32, path: &CStr) = SYS_symlinkat;
    fn rename(old: &CStr, new: &CStr) = SYS_rename;
    fn renameat(old_dir: i32, old: &CStr, new_dir: i32, new: &CStr) = SYS_renameat;
    fn renameat2(old_dir: i32, old: &CStr, new_dir: i32, new: &CStr, flags: u32) = SYS_renameat2;
    fn mknod(path: &CStr, mode: u32, device: u64) = SYS_mknod;
    fn mknodat(dir: i32, path: &CStr, mode: u32, device: u64) = SYS_mknodat;
    fn stat(path: &CStr, out: &mut libc::stat) = SYS_stat;
    fn lstat(path: &CStr, out: &mut libc::stat) = SYS_lstat;
    fn fstat(fd: i32, out: &mut libc::stat) = SYS_fstat;
    fn newfstatat(dir: i32, path: &CStr, out: &mut libc::stat, flags: i32) = SYS_newfstatat;
    fn statx(dir: i32, path: &CStr, flags: i32, mask: u32, out: &mut libc::statx) = SYS_statx;
    fn statfs(path: &CStr, out: &mut libc::statfs) = SYS_statfs;
    fn statfs_words(path: &CStr, out: &mut [u64; 16]) = SYS_statfs;
    fn fstatfs(fd: i32, out: &mut libc::statfs) = SYS_fstatfs;
    fn access(path: &CStr, mode: i32) = SYS_access;
    fn faccessat(dir: i32, path: &CStr, mode: i32) = SYS_faccessat;
    fn faccessat2(dir: i32, path: &CStr, mode: i32, flags: i32) = SYS_faccessat2;
    fn chmod(path: &CStr, mode: u32) = SYS_chmod;
    fn fchmod(fd: i32, mode: u32) = SYS_fchmod;
    fn fchmodat(dir: i32, path: &CStr, mode: u32) = SYS_fchmodat;
    fn chown(path: &CStr, user: u32, group: u32) = SYS_chown;
    fn lchown(path: &CStr, user: u32, group: u32) = SYS_lchown;
    fn fchown(fd: i32, user: u32, group: u32) = SYS_fchown;
    fn fchownat(dir: i32, path: &CStr, user: u32, group: u32, flags: i32) = SYS_fchownat;
    fn truncate(path: &CStr, length: i64) = SYS_truncate;
    fn ftruncate(fd: i32, length: i64) = SYS_ftruncate;
    fn fallocate(fd: i32, mode: i32, offset: i64, length: i64) = SYS_fallocate;
    fn utimensat(dir: i32, path: Option<&CStr>, times: Option<&[libc::timespec; 2]>, flags: i32)
        = SYS_utimensat;
    fn epoll_create1(flags: i32) = SYS_epoll_create1;
    fn epoll_ctl(epoll: i32, operation: i32, fd: i32, event: Option<&mut libc::epoll_event>) = SYS_epoll_ctl;
    fn epoll_wait(epoll: i32, events: &mut libc::epoll_event, max: i32, timeout_ms: i32) = SYS_epoll_wait;
    fn fsync(fd: i32) = SYS_fsync;
    fn fdatasync(fd: i32) = SYS_fdatasync;
    fn sync() = SYS_sync;
    fn syncfs(fd: i32) = SYS_syncfs;
    fn flock(fd: i32, operation: i32) = SYS_flock;
    fn sendfile(out: i32, source: i32, offset: Option<&mut i64>, count: usize) = SYS_sendfile;
    fn copy_file_range(source: i32, from: Option<&mut i64>, dest: i32, to: Option<&mut i64>, count: usize, flags: u32)
        = SYS_copy_file_range;
    fn splice(source: i32, from: Option<&mut i64>, dest: i32, to: Option<&mut i64>, count: usize, flags: u32)
        = SYS_splice;
    fn select(count: i32, read: Option<&mut libc::fd_set>, write: Option<&mut libc::fd_set>, except: Option<&mut libc::fd_set>, timeout: Option<&mut libc::timeval>)
        = SYS_select;
    fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u64, data: Option<&CStr>) = SYS_mount;
    fn vhangup() = SYS_vhangup;
    fn umount2(target: &CStr, flags: i32) = SYS_umount2;
    fn name_to_handle_at(dir: i32, path: &CStr, handle: &mut [u32; 34], mount: &mut i32, flags: i32) = SYS_name_to_handle_at;
    fn open_by_handle_at(mount: i32, handle: &[u32; 34], flags: i32) = SYS_open_by_handle_at;
    fn removexattr(path: &CStr, name: &CStr) = SYS_removexattr;
    fn pivot_root(new: &CStr, old: &CStr) = SYS_pivot_root;
    fn fsopen(kind: &CStr, flags: u32) = SYS_fsopen;
    fn fsconfig(fd: i32, command: u32, key: Option<&CStr>, value: Option<&CStr>, aux: i32) = SYS_fsconfig;
    fn fsmount(fd: i32, flags: u32, attributes: u32) = SYS_fsmount;
    fn fspick(dir: i32, path: &CStr, flags: u32) = SYS_fspick;
    fn open_tree(dir: i32, path: &CStr, flags: u32) = SYS_open_tree;
    fn move_mount(from_dir: i32, from: &CStr, to_dir: i32, to: &CStr, flags: u32) = SYS_move_mount;
    fn mount_setattr(dir: i32, path: &CStr, flags: u32, attributes: &[u64; 4], size: usize) = SYS_mount_setattr;
}

pub(crate) fn setxattr(path: &CStr, name: &CStr, value: &[u8], flags: i32) -> Res {
    let args = [
        path.arg(),
        name.arg(),
        value.as_ptr() as usize,
        value.len(),
        flags.arg(),
        0,
    ];
    // SAFETY: the kernel reads `value.len()` bytes at `value`.
    unsafe { call(libc::SYS_setxattr, args) }
}

pub(crate) fn getxattr(path: &CStr, name: &CStr, value: &mut [u8]) -> Res {
    let args = [
        path.arg(),
        name.arg(),
        value.as_mut_ptr() as usize,
        value.len(),
        0,
        0,
    ];
    // SAFETY: the kernel writes at most `value.len()` bytes at `value`.
    unsafe { call(libc::SYS_getxattr, args) }
}

pub(crate) fn listxattr(path: &CStr, list: &mut [u8]) -> Res {
    let args = [path.arg(), list.as_mut_ptr() as usize, list.len(), 0, 0, 0];
    // SAFETY: the kernel writes at most `list.len()` bytes at `list`.
    unsafe { call(libc::SYS_listxattr, args) }
}

/// A descriptor as the calls return it.
pub(crate) fn fd(result: Res) -> Result<i32, Errno> {
    result.map(|n| n as i32)
}

/// `open`, giving the descriptor as `i32`, -1 after an error that is printed.
pub(crate) fn open_or_say(path: &CStr, flags: i32, mode: u32) -> i32 {
    match fd(open(path, flags, mode)) {
        Ok(n) => n,
        Err(errno) => {
            crate::out::line(&format!("open {}: {errno}", path.to_string_lossy()));
            -1
        }
    }
}

pub(crate) fn read(fd: i32, buf: &mut [u8]) -> Res {
    let args = [fd.arg(), buf.as_mut_ptr() as usize, buf.len(), 0, 0, 0];
    // SAFETY: the kernel writes at most `buf.len()` bytes at `buf`.
    unsafe { call(libc::SYS_read, args) }
}

pub(crate) fn write(fd: i32, buf: &[u8]) -> Res {
    let args = [fd.arg(), buf.as_ptr() as usize, buf.len(), 0, 0, 0];
    // SAFETY: the kernel reads `buf.len()` bytes at `buf`.
    unsafe { call(libc::SYS_write, args) }
}

pub(crate) fn pread(fd: i32, buf: &mut [u8], offset: i64) -> Res {
    let args = [
        fd.arg(),
        buf.as_mut_ptr() as usize,
        buf.len(),
        offset.arg(),
        0,
        0,
    ];
    // SAFETY: as for `read`.
    unsafe { call(libc::SYS_pread64, args) }
}

pub(crate) fn pwrite(fd: i32, buf: &[u8], offset: i64) -> Res {
    let args = [
        fd.arg(),
        buf.as_ptr() as usize,
        buf.len(),
        offset.arg(),
        0,
        0,
    ];
    // SAFETY: as for `write`.
    unsafe { call(libc::SYS_pwrite64, args) }
}

/// `readv` into buffers that follow each other.
pub(crate) fn readv(fd: i32, bufs: &mut [&mut [u8]]) -> Res {
    let vector: Vec<libc::iovec> = bufs
        .iter_mut()
        .map(|b| libc::iovec {
            iov_base: b.as_mut_ptr().cast(),
            iov_len: b.len(),
        })
        .collect();
    let args = [fd.arg(), vector.as_ptr() as usize, vector.len(), 0, 0, 0];
    // SAFETY: each entry is one of the borrowed buffers.
    unsafe { call(libc::SYS_readv, args) }
}

pub(crate) fn writev(fd: i32, bufs: &[&[u8]]) -> Res {
    let vector: Vec<libc::iovec> = bufs
        .iter()
        .map(|b| libc::iovec {
            iov_base: b.as_ptr().cast_mut().cast(),
            iov_len: b.len(),
        })
        .collect();
    let args = [fd.arg(), vector.as_ptr() as usize, vector.len(), 0, 0, 0];
    // SAFETY: each entry is one of the borrowed buffers, which the kernel only reads.
    unsafe { call(libc::SYS_writev, args) }
}

pub(crate) fn getcwd(buf: &mut [u8]) -> Res {
    let args = [buf.as_mut_ptr() as usize, buf.len(), 0, 0, 0, 0];
    // SAFETY: the kernel writes at most `buf.len()` bytes.
    unsafe { call(libc::SYS_getcwd, args) }
}

pub(crate) fn readlink(path: &CStr, buf: &mut [u8]) -> Res {
    let args = [path.arg(), buf.as_mut_ptr() as usize, buf.len(), 0, 0, 0];
    // SAFETY: the kernel writes at most `buf.len()` bytes.
    unsafe { call(libc::SYS_readlink, args) }
}

pub(crate) fn readlinkat(dir: i32, path: &CStr, buf: &mut [u8]) -> Res {
    let args = [
        dir.arg(),
        path.arg(),
        buf.as_mut_ptr() as usize,
        buf.len(),
        0,
        0,
    ];
    // SAFETY: the kernel writes at most `buf.len()` bytes.
    unsafe { call(libc::SYS_readlinkat, args) }
}

pub(crate) fn getdents64(fd: i32, buf: &mut [u8]) -> Res {
    let args = [fd.arg(), buf.as_mut_ptr() as usize, buf.len(), 0, 0, 0];
    // SAFETY: the kernel writes at most `buf.len()` bytes.
    unsafe { call(libc::SYS_getdents64, args) }
}

pub(crate) fn poll(fds: &mut [libc::pollfd], timeout_ms: i32) -> Res {
    let args = [
        fds.as_mut_ptr() as usize,
        fds.len(),
        timeout_ms.arg(),
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads and writes `fds.len()` entries.
    unsafe { call(libc::SYS_poll, args) }
}

/// `pipe2`: read end, write end.
pub(crate) fn pipe2(flags: i32) -> Result<(i32, i32), Errno> {
    let mut ends = [0i32; 2];
    let args = [(&raw mut ends) as usize, flags.arg(), 0, 0, 0, 0];
    // SAFETY: the kernel writes two descriptors.
    unsafe { call(libc::SYS_pipe2, args) }.map(|_| (ends[0], ends[1]))
}

/// A pipe without flags; (-1, -1) after an error that is printed.
pub(crate) fn pipe() -> (i32, i32) {
    let mut ends = [0i32; 2];
    let args = [(&raw mut ends) as usize, 0, 0, 0, 0, 0];
    // SAFETY: the kernel writes two descriptors.
    match unsafe { call(libc::SYS_pipe, args) } {
        Ok(_) => (ends[0], ends[1]),
        Err(errno) => {
            crate::out::line(&format!("pipe: {errno}"));
            (-1, -1)
        }
    }
}

/// Writes all of `bytes`, however many calls it takes.
pub(crate) fn write_all(fd: i32, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let n = write(fd, bytes)?;
        bytes = bytes.get(n..).unwrap_or_default();
    }
    Ok(())
}

/// Reads until the end of the file.
pub(crate) fn read_all(fd: i32) -> Result<Vec<u8>, Errno> {
    let mut all = Vec::new();
    let mut buf = vec![0u8; 65536];
    loop {
        match read(fd, &mut buf)? {
            0 => return Ok(all),
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

/// Makes a file with these bytes.
pub(crate) fn make(path: &CStr, bytes: &[u8], mode: u32) {
    let fd = open_or_say(path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC, mode);
    if let Err(errno) = write_all(fd, bytes) {
        crate::out::line(&format!("make {}: {errno}", path.to_string_lossy()));
    }
    let _ = close(fd);
}

/// The bytes of a file, or the error.
pub(crate) fn slurp(path: &CStr) -> Result<Vec<u8>, Errno> {
    let fd = fd(open(path, libc::O_RDONLY, 0))?;
    let all = read_all(fd);
    let _ = close(fd);
    all
}

/// A file's content as printable text, or the error's name.
pub(crate) fn text(path: &CStr) -> String {
    match slurp(path) {
        Ok(bytes) => format!("{:?}", String::from_utf8_lossy(&bytes)),
        Err(errno) => errno.to_string(),
    }
}
