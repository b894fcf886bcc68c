//! ELF images made by hand (elf(5)): small programs of which every byte is known, and wrong ones.
use crate::sys::{child, file, process};
use std::ffi::CStr;

/// Where a fixed image lies.
pub(super) const BASE: u64 = 0x1000_0000;
/// `e_type` of a program at a fixed address.
pub(super) const FIXED: u16 = 2;
/// `e_type` of one that can lie anywhere.
pub(super) const ANYWHERE: u16 = 3;

/// A program header; offsets and addresses are relative to the image.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) addr: u64,
    pub(super) file_size: u64,
    pub(super) mem_size: u64,
}

/// The image to be: one text segment with the headers and `code` unless more is asked for.
pub(super) struct Image {
    pub(super) kind: u16,
    pub(super) code: Vec<u8>,
    pub(super) text_flags: u32,
    pub(super) more: Vec<Segment>,
    /// Appended at file offset 0x1000.
    pub(super) data: Vec<u8>,
}

impl Image {
    pub(super) fn new(kind: u16, code: &[u8]) -> Self {
        Self {
            kind,
            code: code.to_vec(),
            text_flags: 5,
            more: Vec::new(),
            data: Vec::new(),
        }
    }

    /// The file's bytes. Code begins at offset 0x400.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let base = if self.kind == FIXED { BASE } else { 0 };
        let text = Segment {
            kind: 1,
            flags: self.text_flags,
            offset: 0,
            addr: 0,
            file_size: 0x400 + self.code.len() as u64,
            mem_size: 0x400 + self.code.len() as u64,
        };
        let mut out = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        out.extend(self.kind.to_le_bytes());
        out.extend(62u16.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        for word in [base + 0x400, 64, 0] {
            out.extend(word.to_le_bytes());
        }
        out.extend(0u32.to_le_bytes());
        for half in [64u16, 56, self.more.len() as u16 + 1, 64, 0, 0] {
            out.extend(half.to_le_bytes());
        }
        for s in std::iter::once(&text).chain(&self.more) {
            out.extend(s.kind.to_le_bytes());
            out.extend(s.flags.to_le_bytes());
            for word in [
                s.offset,
                base + s.addr,
                base + s.addr,
                s.file_size,
                s.mem_size,
                0x1000u64,
            ] {
                out.extend(word.to_le_bytes());
            }
        }
        out.resize(0x400, 0);
        out.extend(&self.code);
        if !self.data.is_empty() {
            out.resize(0x1000, 0);
            out.extend(&self.data);
        }
        out
    }
}

/// `mov edi, eax; mov eax, 231; syscall`: leaves with EAX's value.
pub(super) const EXIT_EAX: &[u8] = &[0x89, 0xc7, 0xb8, 231, 0, 0, 0, 0x0f, 0x05];

/// Writes `bytes` to the file `image` and runs it in a child with these arguments.
pub(super) fn run(bytes: &[u8], args: &[&CStr]) -> String {
    let _ = file::unlink(c"image");
    file::make(c"image", bytes, 0o755);
    child::run(|| match process::execve(c"image", args, &[c"A=1"]) {
        Err(errno) => {
            crate::out::line(&format!("execve: {errno}"));
            126
        }
        Ok(_) => 99,
    })
}
