//! Files in memory: reading, writing, names and directories; pipes.

use super::Bench;
use crate::sys::{child, file, net};
use std::ffi::{CStr, CString};

pub(super) fn measure(bench: &Bench<'_>) {
    file::make(c"cached", &[7; 65536], 0o644);
    if let Ok(fd) = file::fd(file::open(c"cached", libc::O_RDWR, 0)) {
        reads_and_writes(bench, fd);
        let _ = file::close(fd);
    }
    names(bench);
    changes(bench, ["create-unlink", "rename", "mkdir-rmdir"]);
    directories(bench);
    bulk(bench);
    pipes(bench);
    bandwidth(bench, "pipe-1M", file::pipe);
    // A unix socket's ends are alike.
    bandwidth(bench, "unix-1M", || net::pair(libc::SOCK_STREAM));
}

fn reads_and_writes(bench: &Bench<'_>, fd: i32) {
    let mut page = [0; 4096];
    let page = &mut page;
    bench.time("read-1", || {
        file::lseek(fd, 0, libc::SEEK_SET).is_ok() && file::read(fd, &mut page[..1]) == Ok(1)
    });
    bench.time("pread-1", || file::pread(fd, &mut page[..1], 0) == Ok(1));
    bench.time("pread-4k", || file::pread(fd, page, 4096) == Ok(4096));
    bench.time("pwrite-1", || file::pwrite(fd, &page[..1], 0) == Ok(1));
    bench.time("pwrite-4k", || file::pwrite(fd, page, 4096) == Ok(4096));
    bench.time("lseek", || file::lseek(fd, 0, libc::SEEK_SET).is_ok());
    // SAFETY: all zero is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    bench.time("fstat", || file::fstat(fd, &mut stat).is_ok());
}

fn names(bench: &Bench<'_>) {
    bench.time("open-close", || {
        file::fd(file::open(c"cached", libc::O_RDONLY, 0)).is_ok_and(|fd| file::close(fd).is_ok())
    });
    // SAFETY: all zero is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    bench.time("stat-near", || file::stat(c"cached", &mut stat).is_ok());
    let mut path = String::from("/tmp/bench");
    for _ in 0..8 {
        path.push_str("/deep");
        let _ = file::mkdir(&CString::new(path.as_str()).unwrap_or_default(), 0o755);
    }
    let deep = CString::new(path).unwrap_or_default();
    bench.time("stat-deep", || file::stat(&deep, &mut stat).is_ok());
    bench.time("stat-missing", || {
        file::stat(c"no-such", &mut stat).is_err()
    });
    bench.time("access", || file::access(c"cached", libc::R_OK).is_ok());
}

/// What changes the names in the current directory, each measure under its name.
pub(super) fn changes(bench: &Bench<'_>, [create, rename, mkdir]: [&str; 3]) {
    bench.time(create, || {
        file::fd(file::open(c"new", libc::O_CREAT | libc::O_WRONLY, 0o644))
            .is_ok_and(|fd| file::close(fd).is_ok() && file::unlink(c"new").is_ok())
    });
    file::make(c"one", b"", 0o644);
    bench.time_many(rename, 2, |count| {
        (0..count)
            .all(|_| file::rename(c"one", c"two").is_ok() && file::rename(c"two", c"one").is_ok())
    });
    bench.time(mkdir, || {
        file::mkdir(c"dir", 0o755).is_ok() && file::rmdir(c"dir").is_ok()
    });
}

fn directories(bench: &Bench<'_>) {
    for (name, dir, count) in [
        ("getdents-1000", c"many", 1000),
        ("getdents-100000", c"most", 100_000),
    ] {
        if !bench.wants(name) {
            continue;
        }
        let _ = file::mkdir(dir, 0o755);
        if file::chdir(dir).is_err() {
            continue;
        }
        for number in 0..count {
            let name = CString::new(format!("file-{number}")).unwrap_or_default();
            file::make(&name, b"", 0o644);
        }
        let _ = file::chdir(c"..");
        list(bench, name, dir);
    }
}

/// The whole of a directory, read.
pub(super) fn list(bench: &Bench<'_>, name: &str, dir: &CStr) {
    let Ok(fd) = file::fd(file::open(dir, libc::O_RDONLY | libc::O_DIRECTORY, 0)) else {
        return;
    };
    let mut buffer = vec![0; 32768];
    bench.time(name, || {
        let _ = file::lseek(fd, 0, libc::SEEK_SET);
        loop {
            match file::getdents64(fd, &mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    });
    let _ = file::close(fd);
}

const MIB: usize = 1 << 20;

/// A file of 1 MiB, written anew and read.
fn bulk(bench: &Bench<'_>) {
    let page = vec![1; 4096];
    let flags = libc::O_CREAT | libc::O_TRUNC | libc::O_RDWR;
    bench.time("write-1M-4k", || {
        let Ok(fd) = file::fd(file::open(c"big", flags, 0o644)) else {
            return false;
        };
        let fine = (0..MIB / 4096).all(|_| file::write(fd, &page) == Ok(4096));
        file::close(fd).is_ok() && fine
    });
    file::make(c"whole", &vec![3; MIB], 0o644);
    let Ok(fd) = file::fd(file::open(c"whole", libc::O_RDONLY, 0)) else {
        return;
    };
    let mut block = vec![0; 65536];
    bench.time("read-1M-64k", || {
        file::lseek(fd, 0, libc::SEEK_SET).is_ok()
            && (0..MIB / 65536).all(|_| file::read(fd, &mut block) == Ok(65536))
    });
    let mut at = 0i64;
    bench.time("pread-4k-random", || {
        at = (at * 5 + 17) % 256;
        file::pread(fd, &mut block[..4096], at * 4096) == Ok(4096)
    });
    let _ = file::close(fd);
}

fn pipes(bench: &Bench<'_>) {
    let (read, write) = file::pipe();
    let mut byte = [0];
    bench.time("pipe-self", || {
        file::write(write, b"x") == Ok(1) && file::read(read, &mut byte) == Ok(1)
    });
    close(&[read, write]);
    if !bench.wants("pipe-round-trip") {
        return;
    }
    let (there, back) = (file::pipe(), file::pipe());
    let echo = child::start(|| {
        close(&[there.1, back.0]);
        let mut byte = [0];
        while file::read(there.0, &mut byte) == Ok(1) && file::write(back.1, &byte) == Ok(1) {}
        0
    });
    close(&[there.0, back.1]);
    bench.time("pipe-round-trip", || {
        file::write(there.1, b"x") == Ok(1) && file::read(back.0, &mut byte) == Ok(1)
    });
    close(&[there.1, back.0]);
    let _ = child::wait(echo);
}

/// 1 MiB from one process to another, in writes of 64 KiB.
fn bandwidth(bench: &Bench<'_>, name: &str, ends: impl FnOnce() -> (i32, i32)) {
    if !bench.wants(name) {
        return;
    }
    let (read, write) = ends();
    let reader = child::start(|| {
        close(&[write]);
        let mut block = vec![0; 65536];
        while matches!(file::read(read, &mut block), Ok(1..)) {}
        0
    });
    close(&[read]);
    let block = vec![0; 65536];
    bench.time(name, || {
        (0..MIB / 65536).all(|_| file::write_all(write, &block).is_ok())
    });
    close(&[write]);
    let _ = child::wait(reader);
}

fn close(fds: &[i32]) {
    for fd in fds {
        let _ = file::close(*fd);
    }
}

/// The same file for other measures.
pub(super) fn open_whole() -> Option<i32> {
    const NAME: &CStr = c"mapped";
    file::make(NAME, &vec![5; 4 * MIB], 0o644);
    file::fd(file::open(NAME, libc::O_RDWR, 0)).ok()
}
