//! Extended attributes through an overlay: copied up with the file, its own hidden.
use super::{overlay, prepare};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    prepare();
    file::make(c"low/a", b"text", 0o644);
    show("below", file::setxattr(c"low/a", c"trusted.mine", b"value", 0));
    overlay();
    let mut value = [0; 100];
    say!("{:?}", file::getxattr(c"m/a", c"trusted.mine", &mut value));
    show("remove what isn't there", file::removexattr(c"m/a", c"trusted.none"));
    say!("{:?}", file::getxattr(c"up/a", c"trusted.mine", &mut value));
    show("set", file::setxattr(c"m/a", c"trusted.more", b"x", 0));
    say!("{:?} {:?}", file::getxattr(c"up/a", c"trusted.mine", &mut value), file::getxattr(c"low/a", c"trusted.more", &mut value));
    let n = file::listxattr(c"m/a", &mut value).unwrap_or(0);
    let mut list: Vec<String> = String::from_utf8_lossy(&value[..n]).split('\0').map(str::to_owned).collect();
    list.sort();
    say!("{list:?}");
    show("own", file::setxattr(c"m/a", c"trusted.overlay.opaque", b"y", 0));
    say!("{:?}", file::getxattr(c"m/a", c"trusted.overlay.origin", &mut value));
    show("create", file::setxattr(c"m/a", c"trusted.more", b"y", libc::XATTR_CREATE));
    show("remove", file::removexattr(c"m/a", c"trusted.mine"));
    say!("{:?}", file::getxattr(c"m/a", c"trusted.mine", &mut value));
    super::leave();
    0
}
