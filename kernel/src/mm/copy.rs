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
//!
//! How the rest of `mm` calls the routines: [`call`]. What compiled code calls by itself: [`builtins`].

mod builtins;
mod call;

use core::arch::global_asm;

#[cfg(feature = "selftest")]
pub(super) use call::raw_copy_string;
pub(super) use call::{
    raw_compare_exchange_u32, raw_copy, raw_copy_user, raw_load_u32, raw_zero, raw_zero_user,
};

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
    jz 37f
2:  rep movsq
    # Nothing is left, most often: a string instruction that does nothing isn't free.
    and r8d, 7
    jz 4f
37: mov ecx, r8d
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

    # RDI to, RSI from, RDX bytes: memory that doesn't fault. Leaves RAX alone, for `memcpy`.
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
