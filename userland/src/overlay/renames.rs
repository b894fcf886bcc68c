//! Renames: files of any layer move, directories that lie below don't, whiteouts and hidden names are right after.
use super::{line, names, overlay, prepare};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use libc::{AT_FDCWD, RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    prepare();
    for dir in [c"low/d", c"low/e", c"up/pure", c"up/both", c"low/both", c"up/q", c"low/gone"] {
        let _ = file::mkdir(dir, 0o755);
    }
    for name in [c"low/a", c"low/b", c"low/c", c"low/d/x", c"up/u", c"up/v", c"up/pure/in", c"low/h"] {
        file::make(name, name.to_bytes(), 0o644);
    }
    overlay();
    let with = |old: &CStr, new: &CStr, flags: u32| file::renameat2(AT_FDCWD, old, AT_FDCWD, new, flags);
    show("below to new", file::rename(c"m/a", c"m/a2"));
    say!("{} {} {}", file::text(c"m/a2"), line(c"m/a"), line(c"up/a"));
    show("below over below", file::rename(c"m/b", c"m/c"));
    say!("{} {}", file::text(c"m/c"), line(c"m/b"));
    show("above to a directory below", file::rename(c"m/u", c"m/d/u"));
    say!("{} {}", names(c"m/d"), names(c"up/d"));
    show("directory below", file::rename(c"m/e", c"m/e2"));
    show("directory of both", file::rename(c"m/both", c"m/both2"));
    show("pure directory", file::rename(c"m/pure", c"m/pure2"));
    say!("{}", file::text(c"m/pure2/in"));
    show("pure onto a directory below that is full", file::rename(c"m/pure2", c"m/d"));
    show("pure onto an empty one below", file::rename(c"m/pure2", c"m/gone"));
    say!("{} {}", names(c"m/gone"), file::text(c"m/gone/in"));
    show("rmdir", file::rmdir(c"m/e"));
    show("pure onto a whiteout", file::rename(c"m/q", c"m/e"));
    say!("{:?} {}", names(c"m/e"), line(c"m/e"));
    show("no replace", with(c"m/v", c"m/h", RENAME_NOREPLACE));
    show("exchange files", with(c"m/v", c"m/h", RENAME_EXCHANGE));
    say!("{} {}", file::text(c"m/v"), file::text(c"m/h"));
    show("exchange with a directory below", with(c"m/v", c"m/d", RENAME_EXCHANGE));
    show("exchange with a pure one", with(c"m/v", c"m/e", RENAME_EXCHANGE));
    say!("{} {}", line(c"m/v"), file::text(c"m/e"));
    show("whiteout", with(c"m/h", c"m/i", RENAME_WHITEOUT));
    show("onto itself", file::rename(c"m/h", c"m/h"));
    show("into itself", file::rename(c"m/v", c"m/v/x"));
    say!("m: {}", names(c"m"));
    say!("up: {}", names(c"up"));
    show("umount", file::umount2(c"m", 0));
    overlay();
    say!("m: {}", names(c"m"));
    say!("{:?} {:?} {:?}", names(c"m/v"), names(c"m/gone"), names(c"m/d"));
    super::leave();
    0
}
