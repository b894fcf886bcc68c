//! Who may execute what (execve(2), path_resolution(7)): the mode's bits for user, group and
//! others; root needs any one; a script needs no reading by the kernel's caller but by the
//! interpreter; directories need search permission.
use super::image::{self, EXIT_EAX, Image};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let bytes = Image::new(image::FIXED, &[&[0xb8, 42, 0, 0, 0], EXIT_EAX].concat()).bytes();
    file::make(c"image", &bytes, 0o755);
    show("chown", file::chown(c"image", 1000, 2000));
    for mode in [0o000, 0o666, 0o100, 0o010, 0o001, 0o111, 0o700, 0o077, 0o707] {
        let _ = file::chmod(c"image", mode);
        for (who, user, group) in [("root", 0, 0), ("owner", 1000, 1), ("group", 7, 2000), ("other", 7, 7)] {
            let end = child::run(|| {
                let _ = process::setgroups(&[]);
                let _ = process::setresgid(group, group, group);
                let _ = process::setresuid(user, user, user);
                match process::execve(c"image", &[c"x"], &[]) {
                    Err(errno) => errno.0,
                    Ok(_) => 0,
                }
            });
            say!("{mode:03o} {who}: {end}");
        }
    }
    let _ = file::mkdir(c"closed", 0o600);
    let _ = file::rename(c"image", c"closed/image");
    let _ = file::chmod(c"closed/image", 0o755);
    say!("directory without x: {}", child::run(|| {
        let _ = process::setresuid(7, 7, 7);
        show("execve", process::execve(c"closed/image", &[c"x"], &[]));
        0
    }));
    0
}
