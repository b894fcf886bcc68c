//! Images that aren't programs: ENOEXEC, EINVAL or an early death, as the kernel's loader says.
use super::image::{self, EXIT_EAX, Image};
use crate::out::say;
use crate::scratch::Scratch;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let good = Image::new(image::FIXED, &[&[0xb8, 42, 0, 0, 0], EXIT_EAX].concat()).bytes();
    for (label, offset, patch) in [
        ("unchanged", 0, &[0x7f][..]),
        ("magic", 1, b"X"),
        ("relocatable", 16, &[1, 0]),
        ("core file", 16, &[4, 0]),
        ("machine", 18, &[40, 0]),
        ("header size of entries", 54, &[55, 0]),
        ("no program headers", 56, &[0, 0]),
        ("headers beyond the file", 32, &[0, 0, 9, 0]),
        ("headers at a huge offset", 32, &[0xff; 8]),
        ("class is not looked at", 4, &[3]),
        ("version is not looked at", 6, &[9]),
        ("first segment is a note", 64, &[4, 0, 0, 0]),
        ("file size above memory size", 64 + 32, &[0, 0, 1, 0]),
        ("segment at a kernel address", 64 + 16, &[0, 0, 0, 0, 0, 0x80, 0xff, 0xff]),
        ("segment wraps", 64 + 40, &[0xff; 8]),
        ("entry in no segment", 24, &[0, 0, 0, 0x20, 0, 0, 0, 0]),
        ("entry at zero", 24, &[0; 8]),
    ] {
        let mut bytes = good.clone();
        bytes[offset..offset + patch.len()].copy_from_slice(patch);
        say!("{label}: {}", image::run(&bytes, &[c"image"]));
    }
    for len in [0, 1, 3, 4, 16, 63, 64, 100, 119] {
        say!("{len} bytes: {}", image::run(&good[..len], &[c"image"]));
    }
    0
}
