//! The smallest guest: a PVH ELF whose only act is to write to the debug exit. What QEMU costs by
//! itself, and so the yardstick for a kernel's start. And the smallest job: a program whose only act is to end.

use std::io;
use std::path::Path;

/// Where it is loaded and entered.
pub const ENTRY: u32 = 0x10_0000;
const HEADERS: usize = 64 + 2 * 56;
const NOTE_LEN: usize = 12 + 4 + 8;

/// The guest: the whole ELF image.
#[must_use]
pub fn elf() -> Vec<u8> {
    // mov dx, 0x501; mov al, 0x10; out dx, al; 1: hlt; jmp 1b
    image(&[0x66, 0xBA, 0x01, 0x05, 0xB0, 0x10, 0xEE, 0xF4, 0xEB, 0xFD])
}

/// The job's program: exit_group(0). As a program it has the note that makes the other one a kernel, too; nobody looks.
#[must_use]
pub fn program() -> Vec<u8> {
    // mov eax, 231; xor edi, edi; syscall
    image(&[0xB8, 0xE7, 0x00, 0x00, 0x00, 0x31, 0xFF, 0x0F, 0x05])
}

fn image(code: &[u8]) -> Vec<u8> {
    let note_at = HEADERS;
    let code_at = note_at + NOTE_LEN;
    let total = code_at + code.len();
    let entry = u64::from(ENTRY) + code_at as u64;
    let mut out = Vec::new();
    let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
    // e_ident: ELF64, little-endian, version 1 (System V ABI, chapter 4).
    put(&[0x7F, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    put(&2u16.to_le_bytes()); // ET_EXEC
    put(&62u16.to_le_bytes()); // EM_X86_64
    put(&1u32.to_le_bytes());
    put(&entry.to_le_bytes());
    put(&64u64.to_le_bytes()); // program headers
    put(&0u64.to_le_bytes());
    put(&0u32.to_le_bytes());
    for half in [64u16, 56, 2, 64, 0, 0] {
        put(&half.to_le_bytes());
    }
    let mut segment = |kind: u32, at: usize, len: usize, align: u64| {
        put(&kind.to_le_bytes());
        put(&5u32.to_le_bytes()); // readable, executable
        put(&(at as u64).to_le_bytes());
        let address = u64::from(ENTRY) + at as u64;
        put(&address.to_le_bytes());
        put(&address.to_le_bytes());
        put(&(len as u64).to_le_bytes());
        put(&(len as u64).to_le_bytes());
        put(&align.to_le_bytes());
    };
    segment(1, 0, total, 4096); // PT_LOAD
    segment(4, note_at, NOTE_LEN, 4); // PT_NOTE
    // XEN_ELFNOTE_PHYS32_ENTRY is note type 18, named "Xen".
    put(&4u32.to_le_bytes());
    put(&8u32.to_le_bytes());
    put(&18u32.to_le_bytes());
    put(b"Xen\0");
    put(&entry.to_le_bytes());
    put(code);
    out
}

/// Writes it to `path`.
///
/// # Errors
/// Those of writing a file.
pub fn write(path: &Path) -> io::Result<()> {
    std::fs::write(path, elf())
}
