//! Several layers below, and none above: which one counts, what files and directories hide.
use super::{line, names, overlay_with, prepare};
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    prepare();
    for dir in [c"low/d", c"low2/d", c"low2/filedir", c"low/dirfile", c"low2/op", c"low/op", c"low2/wh"] {
        let _ = file::mkdir(dir, 0o755);
    }
    for name in [c"low/f", c"low2/f", c"low2/g", c"low/d/a", c"low2/d/a", c"low2/d/b", c"low/filedir", c"low2/dirfile", c"low2/filedir/x", c"low2/op/x", c"low/op/y"] {
        file::make(name, name.to_bytes(), 0o644);
    }
    show("whiteout", file::mknod(c"low/wh", libc::S_IFCHR, 0));
    show("opaque", file::setxattr(c"low/op", c"trusted.overlay.opaque", b"y", 0));
    overlay_with(c"lowerdir=low:low2");
    say!("{}", names(c"m"));
    say!("{} {} {} {}", file::text(c"m/f"), file::text(c"m/g"), file::text(c"m/d/a"), file::text(c"m/d/b"));
    say!("{} {}", line(c"m/filedir"), line(c"m/dirfile"));
    say!("{:?} {:?} {}", names(c"m/dirfile"), names(c"m/op"), line(c"m/wh"));
    show_ok("write", file::open(c"m/f", libc::O_RDWR, 0));
    show_ok("create", file::open(c"m/new", libc::O_RDWR | libc::O_CREAT, 0o644));
    show("chmod", file::chmod(c"m/f", 0o600));
    show("unlink", file::unlink(c"m/f"));
    show("remount", file::mount(c"", c"m", c"", libc::MS_REMOUNT, None));
    super::leave();
    0
}
