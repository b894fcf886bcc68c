//! RLIMIT_FSIZE: writes stop at the limit, then SIGXFSZ, or EFBIG when that is ignored.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Res, child, file, process, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let fd = file::open_or_say(c"f", libc::O_RDWR | libc::O_CREAT, 0o600);
    limited("write 900", || file::write(fd, &[1; 900]));
    limited("write 200", || file::write(fd, &[1; 200]));
    show("read back", file::pread(fd, &mut [0; 2000], 0));
    say!("write 1: {}", child::run(|| {
        set(1000);
        i32::from(file::write(fd, &[1]).is_ok())
    }));
    let _ = signal::set(libc::SIGXFSZ, signal::SIG_IGN);
    limited("write 1", || file::write(fd, &[1]));
    limited("write none", || file::write(fd, &[]));
    limited("pwrite beyond", || file::pwrite(fd, &[1], 5000));
    limited("ftruncate beyond", || file::ftruncate(fd, 1001));
    limited("ftruncate below", || file::ftruncate(fd, 999));
    let (_, tx) = file::pipe();
    limited("pipes aren't limited", || file::write(tx, &[1; 2000]));
    0
}

/// The call under the limit; the output, which may be a file too, without it.
fn limited(label: &str, call: impl Fn() -> Res) {
    set(1000);
    let result = call();
    set(u64::MAX);
    show(label, result);
}

fn set(bytes: u64) {
    let limit = libc::rlimit64 { rlim_cur: bytes, rlim_max: u64::MAX };
    let _ = process::setrlimit(libc::RLIMIT_FSIZE, &limit);
}
