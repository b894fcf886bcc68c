//! renameat2(2): RENAME_NOREPLACE, RENAME_EXCHANGE, unknown flags.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use libc::AT_FDCWD;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"a", b"a", 0o600);
    file::make(c"b", b"b", 0o600);
    let _ = file::mkdir(c"d", 0o700);
    let two = |label: &str, old: &CStr, new: &CStr, flags: u32| {
        show(label, file::renameat2(AT_FDCWD, old, AT_FDCWD, new, flags));
        say!("{} {}", file::text(c"a"), file::text(c"b"));
    };
    two("no replace", c"a", c"b", libc::RENAME_NOREPLACE);
    two("no replace, free", c"a", c"x", libc::RENAME_NOREPLACE);
    two("exchange", c"x", c"b", libc::RENAME_EXCHANGE);
    two("exchange with none", c"x", c"none", libc::RENAME_EXCHANGE);
    two("exchange with a directory", c"x", c"d", libc::RENAME_EXCHANGE);
    say!("{} / {}", super::show_stat::line(c"x"), super::show_stat::line(c"d"));
    two("both flags", c"d", c"b", libc::RENAME_EXCHANGE | libc::RENAME_NOREPLACE);
    two("unknown flag", c"d", c"b", 0x80);
    two("plain", c"d", c"b", 0);
    0
}
