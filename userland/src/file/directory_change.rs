//! Removing every entry while listing (rm -r's way): none is missed, none twice.
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"d", 0o700);
    for i in 0..500 {
        file::make(&CString::new(format!("d/e{i}")).unwrap_or_default(), b"", 0o600);
    }
    let fd = file::open_or_say(c"d", libc::O_RDONLY | libc::O_DIRECTORY, 0);
    let (mut removed, mut failed) = (0, 0);
    let mut buf = vec![0u8; 600];
    while let Ok(n @ 1..) = file::getdents64(fd, &mut buf) {
        let mut at = 0;
        while at < n {
            let len = usize::from(u16::from_le_bytes([buf[at + 16], buf[at + 17]]));
            let name = CStr::from_bytes_until_nul(&buf[at + 19..at + len]).unwrap_or_default();
            if name != c"." && name != c".." {
                match file::unlinkat(fd, name, 0) {
                    Ok(_) => removed += 1,
                    Err(_) => failed += 1,
                }
            }
            at += len;
        }
    }
    say!("removed {removed}, failed {failed}, rmdir {:?}", file::rmdir(c"d"));
    0
}
