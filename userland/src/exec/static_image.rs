//! Programs linked to a fixed address and position-independent ones without an interpreter
//! (static-PIE) both run; the latter wherever the kernel likes.
use super::image::{self, EXIT_EAX, Image};
use crate::out::say;
use crate::scratch::Scratch;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    // mov eax, 42
    let code = [&[0xb8, 42, 0, 0, 0], EXIT_EAX].concat();
    for kind in [image::FIXED, image::ANYWHERE] {
        say!("type {kind}: {}", image::run(&Image::new(kind, &code).bytes(), &[c"image"]));
    }
    // lea rax, [rip]; shr rax, 16: where it lies.
    let place = [&[0x48, 0x8d, 0x05, 0, 0, 0, 0, 0x48, 0xc1, 0xe8, 28], EXIT_EAX].concat();
    let bytes = Image::new(image::FIXED, &place).bytes();
    say!("fixed address >> 28: {}", image::run(&bytes, &[c"image"]));
    let bytes = Image::new(image::FIXED, &code).bytes();
    say!("trailing bytes: {}", image::run(&[&bytes[..], &[7; 5000]].concat(), &[c"image"]));
    0
}
