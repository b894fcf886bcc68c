//! Copies of raw memory: within frames, and to and from the current program.
//!
//! In assembly, for two reasons: a program may change its memory at any moment, which Rust's own
//! copies must not see; and a fault on a program's address must come back as a result. Instructions
//! that may fault so stand in the exception table; `trap::from_kernel` goes on at their fixup with
//! RAX = the vector and RDX = the error code.
//!
//! How to move much depends on the machine. CPUs with ERMS are fastest with `rep movsb`. Under TCG
//! that is one step a byte, `rep movsq` one for eight, and moves of 32 bytes through YMM registers are
//! four times cheaper still. Everything else gets `rep movsq`.

use core::arch::{asm, global_asm};

global_asm!(
    r#"
    .section .text.copy, "ax", @progbits

    # STAC and CLAC, where the CPU has them.
    .macro OPEN
    test byte ptr [{smap}], 1
    jz 77f
    stac
77:
    .endm
    .macro CLOSE
    test byte ptr [{smap}], 1
    jz 78f
    clac
78:
    .endm

    # The widest moves, where string instructions are slow: RDI to, RSI from (COPY) and the bytes in
    # R8, at least 256. Leaves what is less than 256 in R8. A program's registers are put back.
    .macro WIDE_ENTER
    sub rsp, 64
    vmovdqu [rsp], ymm0
    vmovdqu [rsp + 32], ymm1
    mov rcx, r8
    and rcx, -256
    and r8d, 255
    add rdi, rcx
    .endm
    .macro WIDE_LEAVE
    vmovdqu ymm0, [rsp]
    vmovdqu ymm1, [rsp + 32]
    add rsp, 64
    .endm
    # At a fault RCX says how far the chunks before got: the rest is for the narrow moves.
    .macro WIDE_FIXUP
    add rdi, rcx
    sub r8, rcx
    WIDE_LEAVE
    .endm

    # RDI to, RSI from, RDX bytes. Returns what is left in RAX.
    .global raw_copy_user
raw_copy_user:
    OPEN
    mov r8, rdx
    cmp rdx, 256
    jb 1f
    test byte ptr [{moves}], {wide}
    jnz 30f
    test byte ptr [{moves}], {bytes}
    jnz 5f
1:  mov rcx, r8
    shr rcx, 3
2:  rep movsq
    mov rcx, r8
    and ecx, 7
3:  rep movsb
4:  CLOSE
    mov rax, rcx
    ret
5:  mov rcx, r8
    jmp 3b
    # A quadword faulted: some of its bytes may still be within reach.
6:  and r8d, 7
    lea rcx, [r8 + rcx * 8]
    jmp 3b
30: WIDE_ENTER
    add rsi, rcx
    neg rcx
31:
    .irp offset, 0, 64, 128, 192
32: vmovdqu ymm0, [rsi + rcx + \offset]
33: vmovdqu ymm1, [rsi + rcx + \offset + 32]
34: vmovdqu [rdi + rcx + \offset], ymm0
35: vmovdqu [rdi + rcx + \offset + 32], ymm1
    .pushsection .ex_table, "a", @progbits
    .quad 32b, 36f, 33b, 36f, 34b, 36f, 35b, 36f
    .popsection
    .endr
    add rcx, 256
    jnz 31b
    WIDE_LEAVE
    jmp 1b
36: add rsi, rcx
    WIDE_FIXUP
    jmp 1b
    .pushsection .ex_table, "a", @progbits
    .quad 2b, 6b, 3b, 4b
    .popsection

    # RDI to, RSI bytes. Returns what is left in RAX.
    .global raw_zero_user
raw_zero_user:
    OPEN
    mov r8, rsi
    cmp rsi, 256
    jb 7f
    test byte ptr [{moves}], {wide}
    jnz 40f
7:  xor eax, eax
    mov rcx, r8
    shr rcx, 3
8:  rep stosq
    mov rcx, r8
    and ecx, 7
9:  rep stosb
10: CLOSE
    mov rax, rcx
    ret
11: and r8d, 7
    lea rcx, [r8 + rcx * 8]
    xor eax, eax
    jmp 9b
40: WIDE_ENTER
    neg rcx
    vxorps ymm0, ymm0, ymm0
41:
    .irp offset, 0, 32, 64, 96, 128, 160, 192, 224
42: vmovdqu [rdi + rcx + \offset], ymm0
    .pushsection .ex_table, "a", @progbits
    .quad 42b, 43f
    .popsection
    .endr
    add rcx, 256
    jnz 41b
    WIDE_LEAVE
    jmp 7b
43: WIDE_FIXUP
    jmp 7b
    .pushsection .ex_table, "a", @progbits
    .quad 8b, 11b, 9b, 10b
    .popsection

    # RDI to, RSI from, RDX most bytes. Copies up to and including a NUL. Returns the bytes copied in
    # RAX and in RDX 0 (the last is a NUL), 1 (no NUL among them) or 2 (the next byte faulted).
    .global raw_copy_string
raw_copy_string:
    OPEN
    mov r8, rdi
    mov r9, rdx
    mov r10, 0x0101010101010101
    mov r11, 0x8080808080808080
10: test r9, r9
    jz 15f
    test sil, 7
    jz 12f
11: mov al, [rsi]
    mov [rdi], al
    inc rsi
    inc rdi
    dec r9
    test al, al
    jnz 10b
    jmp 16f
    # Aligned: a word at a time, as long as no byte in it is zero.
12: cmp r9, 8
    jb 14f
13: mov rax, [rsi]
    mov rcx, rax
    mov rdx, rax
    sub rcx, r10
    not rdx
    and rcx, rdx
    test rcx, r11
    jnz 14f
    mov [rdi], rax
    add rsi, 8
    add rdi, 8
    sub r9, 8
    jmp 12b
14: test r9, r9
    jz 15f
17: mov al, [rsi]
    mov [rdi], al
    inc rsi
    inc rdi
    dec r9
    test al, al
    jnz 14b
16: xor edx, edx
    jmp 19f
15: mov edx, 1
    jmp 19f
18: mov edx, 2
19: CLOSE
    mov rax, rdi
    sub rax, r8
    ret

    # RDI from. Returns the value in RAX; RDX is 0, or 1 after a fault.
    .global raw_load_u32
raw_load_u32:
    OPEN
    xor edx, edx
20: mov eax, [rdi]
21: CLOSE
    ret
22: mov edx, 1
    jmp 21b

    # RDI where, ESI expected, EDX new. Returns what was there in RAX; RDX is 0, or 1 after a fault.
    .global raw_compare_exchange_u32
raw_compare_exchange_u32:
    OPEN
    mov eax, esi
    mov ecx, edx
    xor edx, edx
23: lock cmpxchg [rdi], ecx
24: CLOSE
    ret
25: mov edx, 1
    jmp 24b

    # RDI to, RSI from, RDX bytes: memory that doesn't fault.
    .global raw_copy
raw_copy:
    mov r8, rdx
    cmp rdx, 256
    jb 50f
    test byte ptr [{moves}], {wide}
    jnz 52f
    test byte ptr [{moves}], {bytes}
    jnz 51f
50: mov rcx, r8
    shr rcx, 3
    rep movsq
    and r8d, 7
51: mov rcx, r8
    rep movsb
    ret
52: WIDE_ENTER
    add rsi, rcx
    neg rcx
53:
    .irp offset, 0, 64, 128, 192
    vmovdqu ymm0, [rsi + rcx + \offset]
    vmovdqu ymm1, [rsi + rcx + \offset + 32]
    vmovdqu [rdi + rcx + \offset], ymm0
    vmovdqu [rdi + rcx + \offset + 32], ymm1
    .endr
    add rcx, 256
    jnz 53b
    WIDE_LEAVE
    jmp 50b

    # RDI to, RSI bytes.
    .global raw_zero
raw_zero:
    xor eax, eax
    mov r8, rsi
    cmp rsi, 256
    jb 60f
    test byte ptr [{moves}], {wide}
    jnz 62f
    test byte ptr [{moves}], {bytes}
    jnz 61f
60: mov rcx, r8
    shr rcx, 3
    rep stosq
    and r8d, 7
61: mov rcx, r8
    rep stosb
    ret
62: WIDE_ENTER
    neg rcx
    vxorps ymm0, ymm0, ymm0
63:
    .irp offset, 0, 32, 64, 96, 128, 160, 192, 224
    vmovdqu [rdi + rcx + \offset], ymm0
    .endr
    add rcx, 256
    jnz 63b
    WIDE_LEAVE
    jmp 60b

    .pushsection .ex_table, "a", @progbits
    .quad 11b, 18b
    .quad 13b, 18b
    .quad 17b, 18b
    .quad 20b, 22b
    .quad 23b, 25b
    .popsection
    "#,
    smap = sym crate::arch::features::SMAP_BYTE,
    moves = sym crate::arch::features::MOVES,
    wide = const crate::arch::features::WIDE_MOVES,
    bytes = const crate::arch::features::BYTE_MOVES,
);

/// Two words in RAX and RDX.
pub(super) struct Pair {
    pub(super) value: u64,
    pub(super) code: u64,
}

/// The routines above, called by [`raw_copy_user`] and its like, which tell the compiler that they leave all
/// registers alone but those few: a caller keeps its values where they are.
mod routine {
    unsafe extern "C" {
        pub(super) fn raw_copy_user();
        pub(super) fn raw_zero_user();
        #[cfg(feature = "selftest")]
        pub(super) fn raw_copy_string();
        pub(super) fn raw_load_u32();
        pub(super) fn raw_compare_exchange_u32();
        pub(super) fn raw_copy();
        pub(super) fn raw_zero();
    }
}

/// Copies between a program's memory and the kernel's; the bytes that are left after a fault.
///
/// # Safety
/// The program's side lies below `TASK_SIZE`, the kernel's is the caller's to read or write.
#[inline(always)]
pub(super) unsafe fn raw_copy_user(to: u64, from: u64, bytes: usize) -> usize {
    let left;
    // SAFETY: what the caller promises; the routine changes these registers and flags, and RDX at a fault.
    unsafe {
        asm!("call {}", sym routine::raw_copy_user,
            inout("rdi") to => _, inout("rsi") from => _, inout("rdx") bytes => _,
            out("rax") left, out("rcx") _, out("r8") _);
    }
    left
}

/// Clears a program's memory; the bytes that are left after a fault.
///
/// # Safety
/// The range lies below `TASK_SIZE`.
#[inline(always)]
pub(super) unsafe fn raw_zero_user(to: u64, bytes: usize) -> usize {
    let left;
    // SAFETY: as in `raw_copy_user`.
    unsafe {
        asm!("call {}", sym routine::raw_zero_user,
            inout("rdi") to => _, in("rsi") bytes,
            out("rax") left, out("rcx") _, out("rdx") _, out("r8") _);
    }
    left
}

/// Copies a program's string.
///
/// # Safety
/// As for [`raw_copy_user`].
#[cfg(feature = "selftest")]
pub(super) unsafe fn raw_copy_string(to: u64, from: u64, most: usize) -> Pair {
    let (value, code);
    // SAFETY: as in `raw_copy_user`.
    unsafe {
        asm!("call {}", sym routine::raw_copy_string,
            inout("rdi") to => _, inout("rsi") from => _, inout("rdx") most => code,
            out("rax") value, out("rcx") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    Pair { value, code }
}

/// Loads a program's word; the code is 0 unless it faulted.
///
/// # Safety
/// The word lies below `TASK_SIZE`.
#[inline(always)]
pub(super) unsafe fn raw_load_u32(from: u64) -> Pair {
    let (value, code);
    // SAFETY: as in `raw_copy_user`.
    unsafe {
        asm!("call {}", sym routine::raw_load_u32, in("rdi") from, out("rax") value, out("rdx") code);
    }
    Pair { value, code }
}

/// Replaces a program's word if it is `expected`; what it was, and a code as above.
///
/// # Safety
/// As for [`raw_load_u32`].
#[inline(always)]
pub(super) unsafe fn raw_compare_exchange_u32(at: u64, expected: u32, new: u32) -> Pair {
    let (value, code);
    // SAFETY: as in `raw_copy_user`.
    unsafe {
        asm!("call {}", sym routine::raw_compare_exchange_u32,
            in("rdi") at, in("esi") expected, inout("rdx") u64::from(new) => code,
            out("rax") value, out("rcx") _);
    }
    Pair { value, code }
}

/// Copies memory that doesn't fault.
///
/// # Safety
/// The ranges are the caller's to read and to write.
#[inline(always)]
pub(super) unsafe fn raw_copy(to: u64, from: u64, bytes: usize) {
    // SAFETY: what the caller promises; the routine changes these registers and flags.
    unsafe {
        asm!("call {}", sym routine::raw_copy,
            inout("rdi") to => _, inout("rsi") from => _, in("rdx") bytes, out("rcx") _, out("r8") _);
    }
}

/// Clears memory that doesn't fault.
///
/// # Safety
/// The range is the caller's to write.
#[inline(always)]
pub(super) unsafe fn raw_zero(to: u64, bytes: usize) {
    // SAFETY: as in `raw_copy`.
    unsafe {
        asm!("call {}", sym routine::raw_zero,
            inout("rdi") to => _, in("rsi") bytes, out("rax") _, out("rcx") _, out("r8") _);
    }
}
