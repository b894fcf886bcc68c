//! O_APPEND writers don't overwrite each other, and one open file shares its offset: every record
//! of four processes is there.
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    for (label, flags, shared) in [("O_APPEND", libc::O_APPEND, false), ("shared offset", 0, true)] {
        let _ = file::unlink(c"f");
        let open = || file::open_or_say(c"f", libc::O_WRONLY | libc::O_CREAT | flags, 0o600);
        let common = open();
        let pids: Vec<i32> = (1..=4u8)
            .map(|id| {
                child::start(|| {
                    let fd = if shared { common } else { open() };
                    i32::from((0..200).any(|_| file::write(fd, &[id; 37]) != Ok(37)))
                })
            })
            .collect();
        let ends: Vec<String> = pids.into_iter().map(child::end_of).collect();
        let bytes = file::slurp(c"f").unwrap_or_default();
        let whole = bytes.chunks(37).filter(|c| c.iter().all(|b| *b == c[0])).count();
        say!("{label}: {ends:?} {} bytes, {whole} whole records", bytes.len());
        let _ = file::close(common);
    }
    0
}
