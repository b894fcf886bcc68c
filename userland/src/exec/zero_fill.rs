//! What of a segment isn't in the file is zero, within the last page and beyond it (elf(5)).
use super::image::{self, EXIT_EAX, Image, Segment};
use crate::out::say;
use crate::scratch::Scratch;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let bss = Segment { kind: 1, flags: 6, offset: 0x1000, addr: 0x3000, file_size: 0x10, mem_size: 0x5000 };
    for (label, at) in [("in the file", 0x3008u32), ("same page", 0x3010), ("end of page", 0x3ffc), ("next page", 0x4000), ("last", 0x7ffc)] {
        // mov eax, [rip + (at - 0x406)]
        let code = [&[0x8b, 0x05][..], &(at - 0x406).to_le_bytes(), EXIT_EAX].concat();
        for kind in [image::FIXED, image::ANYWHERE] {
            let mut made = Image::new(kind, &code);
            made.more = vec![bss];
            made.data = vec![0x77; 0x3000];
            say!("{label}: {}", image::run(&made.bytes(), &[c"image"]));
        }
    }
    0
}
