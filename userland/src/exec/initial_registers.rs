//! A program starts with all general registers zero, flags 0x202 and XMM registers zero: nothing
//! of the program before it shows.
use super::image::{self, EXIT_EAX, Image};
use crate::out::say;
use crate::scratch::Scratch;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    // or rax, each of rbx rcx rdx rsi rdi rbp r8..r15; setne al; movzx eax, al
    let mut or_all = Vec::new();
    for reg in [3u8, 1, 2, 6, 7, 5] {
        or_all.extend([0x48, 0x09, 0xc0 | (reg << 3)]);
    }
    for reg in 0..8u8 {
        or_all.extend([0x4c, 0x09, 0xc0 | (reg << 3)]);
    }
    or_all.extend([0x0f, 0x95, 0xc0, 0x0f, 0xb6, 0xc0]);
    // movq rcx, xmm0; or ..., xmm15 low halves: por xmm0..15 into xmm0; movq rax; psrldq 8; movq rcx; or
    let mut xmm = Vec::new();
    for reg in 1..8u8 {
        xmm.extend([0x66, 0x0f, 0xeb, 0xc0 | reg]);
    }
    for reg in 0..8u8 {
        xmm.extend([0x66, 0x41, 0x0f, 0xeb, 0xc0 | reg]);
    }
    xmm.extend([0x66, 0x48, 0x0f, 0x7e, 0xc0]);
    xmm.extend([0x66, 0x0f, 0x73, 0xd8, 0x08, 0x66, 0x48, 0x0f, 0x7e, 0xc1, 0x48, 0x09, 0xc8]);
    xmm.extend([0x0f, 0x95, 0xc0, 0x0f, 0xb6, 0xc0]);
    for (label, code) in [
        ("general registers", or_all),
        ("xmm registers", xmm),
        ("flags low byte", vec![0x9c, 0x58, 0x0f, 0xb6, 0xc0]), // pushf; pop rax; movzx eax, al
        ("flags next byte", vec![0x9c, 0x58, 0x0f, 0xb6, 0xc4]),
        ("cs", vec![0x8c, 0xc8]),
        ("ss", vec![0x8c, 0xd0]),
        ("ds", vec![0x8c, 0xd8]),
        ("es", vec![0x8c, 0xc0]),
        ("fs", vec![0x8c, 0xe0]),
        ("gs", vec![0x8c, 0xe8]),
    ] {
        let bytes = Image::new(image::FIXED, &[&code[..], EXIT_EAX].concat()).bytes();
        say!("{label}: {}", image::run(&bytes, &[c"image"]));
    }
    0
}
