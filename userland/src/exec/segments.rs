//! Segments have just the rights their flags give: text can't be written, data and stack can't
//! run, W+X is granted when asked for.
use super::image::{self, EXIT_EAX, Image, Segment};
use crate::out::say;
use crate::scratch::Scratch;
use std::ffi::CStr;

const DATA: Segment =
    Segment { kind: 1, flags: 6, offset: 0x1000, addr: 0x3000, file_size: 16, mem_size: 16 };
/// PT_GNU_STACK without X.
const STACK: Segment =
    Segment { kind: 0x6474_e551, flags: 6, offset: 0, addr: 0, file_size: 0, mem_size: 0 };

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    // mov [rip-7+..], al: writes to the instruction itself.
    let write_text = [0x88, 0x05, 0xfa, 0xff, 0xff, 0xff, 0x31, 0xc0];
    // lea rcx, [rip + (0x3000 - 0x407)]; mov byte [rcx], 9; movzx eax, byte [rcx]
    let data = |tail: &[u8]| [&[0x48, 0x8d, 0x0d, 0xf9, 0x2b, 0, 0], tail].concat();
    let write_data = data(&[0xc6, 0x01, 9, 0x0f, 0xb6, 0x01]);
    let read_data = data(&[0x0f, 0xb6, 0x01]);
    let run_data = data(&[0xff, 0xe1]); // jmp rcx
    let run_stack = [0xff, 0xe4]; // jmp rsp
    for (label, code, text_flags, more) in [
        ("write text", &write_text[..], 5, vec![STACK]),
        ("write text with W", &write_text, 7, vec![STACK]),
        ("read data", &read_data, 5, vec![DATA, STACK]),
        ("write data", &write_data, 5, vec![DATA, STACK]),
        ("run data", &run_data, 5, vec![DATA, STACK]),
        ("run data with X", &run_data, 5, vec![Segment { flags: 7, ..DATA }, STACK]),
        ("write data without W", &write_data, 5, vec![Segment { flags: 4, ..DATA }, STACK]),
        ("run the stack", &run_stack, 5, vec![STACK]),
    ] {
        for kind in [image::FIXED, image::ANYWHERE] {
            let mut made = Image::new(kind, &[code, EXIT_EAX].concat());
            (made.text_flags, made.more) = (text_flags, more.clone());
            // The data is code too: mov eax, 77; then leave.
            made.data = [&[0xb8, 77, 0, 0, 0], EXIT_EAX].concat();
            made.data.resize(16, 0);
            say!("{label}: {}", image::run(&made.bytes(), &[c"image"]));
        }
    }
    0
}
