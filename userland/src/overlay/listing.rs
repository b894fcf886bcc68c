//! Directories of several layers listed: each name once, with the number that stat tells, also while names go.
use super::{names, overlay_with, prepare};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    prepare();
    for layer in ["low", "low2", "up"] {
        for number in 0..150 {
            if (layer == "low" && number % 2 == 0) || (layer == "low2" && number % 3 == 0) || (layer == "up" && number % 5 == 0) {
                let name = CString::new(format!("{layer}/f{number}")).unwrap_or_default();
                file::make(&name, layer.as_bytes(), 0o644);
            }
        }
        let dir = CString::new(format!("{layer}/d")).unwrap_or_default();
        let _ = file::mkdir(&dir, 0o755);
        let inner = CString::new(format!("{layer}/d/{layer}")).unwrap_or_default();
        file::make(&inner, b"", 0o644);
    }
    overlay_with(c"lowerdir=low:low2,upperdir=up,workdir=work");
    let all = names(c"m");
    say!("{} names, {} with another number", all.split(' ').count(), all.matches('!').count());
    say!("{all}");
    say!("{}", names(c"m/d"));
    say!("{} {} {}", file::text(c"m/f30"), file::text(c"m/f6"), file::text(c"m/f9"));
    show("touch", file::chmod(c"m/f2", 0o600));
    show("touch", file::chmod(c"m/f9", 0o600));
    show("gone", file::unlink(c"m/f4"));
    show("gone", file::unlink(c"m/f30"));
    let all = names(c"m");
    say!("{} names, {} with another number", all.split(' ').count(), all.matches('!').count());
    // Removing while listing, as rm does.
    let fd = file::open_or_say(c"m", libc::O_RDONLY | libc::O_DIRECTORY, 0);
    let (mut buf, mut removed) = (vec![0u8; 512], 0);
    while let Ok(n @ 1..) = file::getdents64(fd, &mut buf) {
        let mut at = 0;
        while at < n {
            let length = usize::from(u16::from_le_bytes([buf[at + 16], buf[at + 17]]));
            let name: Vec<u8> = buf[at + 19..at + length].iter().copied().take_while(|b| *b != 0).collect();
            if name.starts_with(b"f") {
                let path = CString::new([b"m/", name.as_slice()].concat()).unwrap_or_default();
                removed += usize::from(file::unlink(&path).is_ok());
            }
            at += length;
        }
    }
    let _ = file::close(fd);
    say!("{removed} removed, left: {}", names(c"m"));
    super::leave();
    0
}
