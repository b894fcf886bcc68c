//! execve(2) with an empty or null argv: the program gets one empty argument (since Linux 5.18).
use super::image::{self, EXIT_EAX, Image};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{self, Arg, child};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    // mov eax, [rsp]
    let code = [&[0x8b, 0x04, 0x24], EXIT_EAX].concat();
    let bytes = Image::new(image::FIXED, &code).bytes();
    say!("three: {}", image::run(&bytes, &[c"a", c"b", c"c"]));
    say!("none: {}", image::run(&bytes, &[]));
    say!("null: {}", child::run(|| {
        // SAFETY: null vectors are empty ones; the program replaces this child.
        show("execve", unsafe { sys::call(libc::SYS_execve, [c"image".arg(), 0, 0, 0, 0, 0]) });
        1
    }));
    for (label, args) in [("argv", [c"image".arg(), 8, 0]), ("envp", [c"image".arg(), 0, 8]), ("path", [8, 0, 0])] {
        // SAFETY: address 8 is never mapped: the kernel refuses it.
        let result = unsafe { sys::call(libc::SYS_execve, [args[0], args[1], args[2], 0, 0, 0]) };
        show(&format!("bad {label}"), result);
    }
    let bad = [c"x".arg(), 8, 0];
    // SAFETY: the second string's address is never mapped: the kernel refuses it.
    let result =
        unsafe { sys::call(libc::SYS_execve, [c"image".arg(), bad.as_ptr() as usize, 0, 0, 0, 0]) };
    show("bad string", result);
    0
}
