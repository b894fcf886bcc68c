//! Copies of raw memory: within frames, and to and from the current program.
//!
//! In assembly, for two reasons: a program may change its memory at any moment, which Rust's own
//! copies must not see; and a fault on a program's address must come back as a result. Instructions
//! that may fault so stand in the exception table; `trap::from_kernel` goes on at their fixup with
//! RAX = CR2. Quadwords are moved with `rep movsq`, which is fast everywhere; `rep movsb` is one
//! step a byte under TCG and takes only what is left over.

use core::arch::global_asm;

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

    # RDI to, RSI from, RDX bytes. Returns what is left in RAX.
    .global raw_copy_user
raw_copy_user:
    OPEN
    mov r8, rdx
    mov rcx, rdx
    shr rcx, 3
1:  rep movsq
    mov rcx, r8
    and ecx, 7
2:  rep movsb
3:  CLOSE
    mov rax, rcx
    ret
    # A quadword faulted: some of its bytes may still be within reach.
4:  and r8d, 7
    lea rcx, [r8 + rcx * 8]
    jmp 2b

    # RDI to, RSI bytes. Returns what is left in RAX.
    .global raw_zero_user
raw_zero_user:
    OPEN
    xor eax, eax
    mov rcx, rsi
    shr rcx, 3
5:  rep stosq
    mov rcx, rsi
    and ecx, 7
6:  rep stosb
7:  CLOSE
    mov rax, rcx
    ret
8:  and esi, 7
    lea rcx, [rsi + rcx * 8]
    xor eax, eax
    jmp 6b

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
    mov rcx, rdx
    shr rcx, 3
    rep movsq
    mov ecx, edx
    and ecx, 7
    rep movsb
    ret

    # RDI to, RSI bytes.
    .global raw_zero
raw_zero:
    xor eax, eax
    mov rcx, rsi
    shr rcx, 3
    rep stosq
    mov ecx, esi
    and ecx, 7
    rep stosb
    ret

    .pushsection .ex_table, "a", @progbits
    .quad 1b, 4b
    .quad 2b, 3b
    .quad 5b, 8b
    .quad 6b, 7b
    .quad 11b, 18b
    .quad 13b, 18b
    .quad 17b, 18b
    .quad 20b, 22b
    .quad 23b, 25b
    .popsection
    "#,
    smap = sym crate::arch::features::SMAP_BYTE,
);

/// Two words in RAX and RDX.
#[repr(C)]
pub(super) struct Pair {
    pub(super) value: u64,
    pub(super) code: u64,
}

unsafe extern "sysv64" {
    pub(super) fn raw_copy_user(to: u64, from: u64, bytes: usize) -> usize;
    pub(super) fn raw_zero_user(to: u64, bytes: usize) -> usize;
    pub(super) fn raw_copy_string(to: u64, from: u64, most: usize) -> Pair;
    pub(super) fn raw_load_u32(from: u64) -> Pair;
    pub(super) fn raw_compare_exchange_u32(at: u64, expected: u32, new: u32) -> Pair;
    pub(super) fn raw_copy(to: u64, from: u64, bytes: usize);
    pub(super) fn raw_zero(to: u64, bytes: usize);
}
