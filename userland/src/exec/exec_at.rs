//! execveat(2): by directory, by descriptor (AT_EMPTY_PATH), AT_SYMLINK_NOFOLLOW, errors.
use super::image::{self, EXIT_EAX, Image};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let bytes = Image::new(image::FIXED, &[&[0xb8, 42, 0, 0, 0], EXIT_EAX].concat()).bytes();
    let _ = file::mkdir(c"d", 0o755);
    file::make(c"d/image", &bytes, 0o755);
    let _ = file::symlink(c"image", c"d/link");
    let dir = file::open_or_say(c"d", libc::O_RDONLY | libc::O_DIRECTORY, 0);
    let fd = file::open_or_say(c"d/image", libc::O_RDONLY, 0);
    let path = file::open_or_say(c"d/image", libc::O_PATH, 0);
    for (label, at, name, flags) in [
        ("directory", dir, c"image", 0),
        ("cwd", libc::AT_FDCWD, c"d/image", 0),
        ("descriptor", fd, c"", libc::AT_EMPTY_PATH),
        ("O_PATH descriptor", path, c"", libc::AT_EMPTY_PATH),
        ("empty without the flag", fd, c"", 0),
        ("link", dir, c"link", 0),
        ("link not followed", dir, c"link", libc::AT_SYMLINK_NOFOLLOW),
        ("bad descriptor", 99, c"image", 0),
        ("not a directory", fd, c"image", 0),
        ("bad flag", dir, c"image", 0x4000),
        ("the directory", dir, c"", libc::AT_EMPTY_PATH),
    ] {
        say!("{label}: {}", child::run(|| {
            show("execveat", process::execveat(at, name, &[c"x"], &[], flags));
            1
        }));
    }
    scripts(dir);
    0
}

/// Scripts see the way through the descriptor; through one that closes there is none.
fn scripts(dir: i32) {
    let script = format!("#!{} --helper args\n", super::own_path());
    file::make(c"d/script", script.as_bytes(), 0o755);
    file::make(c"d/relative", b"#!d/script\n", 0o755);
    let closing = file::open_or_say(c"d", libc::O_RDONLY | libc::O_CLOEXEC, 0);
    let here = file::open_or_say(c"d/script", libc::O_RDONLY, 0);
    let gone = file::open_or_say(c"d/script", libc::O_RDONLY | libc::O_CLOEXEC, 0);
    for (label, at, name, flags) in [
        ("directory", dir, c"script", 0),
        ("through it", dir, c"../d/script", 0),
        ("cwd", libc::AT_FDCWD, c"d/script", 0),
        ("descriptor", here, c"", libc::AT_EMPTY_PATH),
        ("closing directory", closing, c"script", 0),
        ("closing descriptor", gone, c"", libc::AT_EMPTY_PATH),
        ("a program through it", closing, c"image", 0),
        ("relative interpreter", dir, c"relative", 0),
        ("no descriptor's directory", libc::AT_FDCWD, c"", libc::AT_EMPTY_PATH),
    ] {
        say!("{label}: {}", child::run(|| {
            show("execveat", process::execveat(at, name, &[c"x", c"y"], &[], flags));
            1
        }));
    }
}
