//! The System V ABI's process entry: RSP is 16-byte aligned and points to argc, argv, null, envp,
//! null, the auxiliary vector.
use super::image::{self, EXIT_EAX, Image};
use crate::out::say;
use crate::scratch::Scratch;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    for (label, code) in [
        ("alignment (rsp & 15)", &[0x89u8, 0xe0, 0x83, 0xe0, 0x0f][..]), // mov eax, esp; and eax, 15
        ("argc", &[0x8b, 0x04, 0x24]),                                  // mov eax, [rsp]
        // mov rax, [rsp+8]; movzx eax, byte [rax]
        ("first byte of argv[0]", &[0x48, 0x8b, 0x44, 0x24, 0x08, 0x0f, 0xb6, 0x00]),
        // mov rax, [rsp+16]; movzx eax, byte [rax]
        ("first byte of argv[1]", &[0x48, 0x8b, 0x44, 0x24, 0x10, 0x0f, 0xb6, 0x00]),
        ("argv[argc]", &[0x48, 0x8b, 0x44, 0x24, 0x18]),
        // mov rax, [rsp+32]; movzx eax, byte [rax]
        ("first byte of envp[0]", &[0x48, 0x8b, 0x44, 0x24, 0x20, 0x0f, 0xb6, 0x00]),
        ("end of envp", &[0x48, 0x8b, 0x44, 0x24, 0x28]),
        // mov [rsp-4096], eax; xor eax, eax
        ("the stack can be written below", &[0x89, 0x84, 0x24, 0x00, 0xf0, 0xff, 0xff, 0x31, 0xc0]),
        // Far below: grows on demand.
        ("and a megabyte below", &[0x89, 0x84, 0x24, 0x00, 0x00, 0xf0, 0xff, 0x31, 0xc0]),
    ] {
        for kind in [image::FIXED, image::ANYWHERE] {
            let bytes = Image::new(kind, &[code, EXIT_EAX].concat()).bytes();
            say!("{label}: {}", image::run(&bytes, &[c"image", c"two"]));
        }
    }
    0
}
