//! `memcpy`, `memmove` and `memset`, which compiled code calls for what is too long to be moved in place.
//!
//! Nearly all are a few words long, which string instructions are slow to start for: on a CPU some thirty cycles each,
//! under TCG a step for each byte of what is left over. So up to 256 bytes go through registers, the last ones
//! overlapping those before; more is for [`raw_copy`](super::raw_copy) and [`raw_zero`](super::raw_zero)'s kind of moves.

use core::arch::global_asm;

global_asm!(
    r#"
    .section .text.copy, "ax", @progbits

    # RDI to, RSI from, RDX bytes, which may overlap. Returns RDI in RAX.
    .global memmove
memmove:
    mov rcx, rdi
    sub rcx, rsi
    cmp rcx, rdx
    jae memcpy
    # The end of what is read would be written first: from the end, then.
    cmp rdx, 16
    jb memcpy
    mov rax, rdi
    mov r8, [rsi]
    mov r9, [rsi + 8]
80: mov rcx, [rsi + rdx - 8]
    mov r10, [rsi + rdx - 16]
    mov [rdi + rdx - 8], rcx
    mov [rdi + rdx - 16], r10
    sub rdx, 16
    cmp rdx, 16
    ja 80b
    mov [rdi], r8
    mov [rdi + 8], r9
    ret

    # The same for what doesn't overlap, or lies so that it can be moved from its start. Each way loads the last
    # bytes before it stores any, so that `memmove` may use it.
    .global memcpy
memcpy:
    mov rax, rdi
    cmp rdx, 16
    jb 82f
    cmp rdx, 96
    jae 92f
93: mov r8, [rsi + rdx - 16]
    mov r9, [rsi + rdx - 8]
    lea rdx, [rdi + rdx - 16]
81: mov rcx, [rsi]
    mov r10, [rsi + 8]
    mov [rdi], rcx
    mov [rdi + 8], r10
    add rsi, 16
    add rdi, 16
    cmp rdi, rdx
    jb 81b
    mov [rdx], r8
    mov [rdx + 8], r9
    ret
    # Through YMM registers where those are best, as in `copy.rs`.
92: cmp rdx, 256
    jae raw_copy
    test byte ptr [{moves}], {wide}
    jz 93b
    sub rsp, 64
    vmovdqu [rsp], ymm0
    vmovdqu [rsp + 32], ymm1
    vmovdqu ymm1, [rsi + rdx - 32]
    lea rdx, [rdi + rdx - 32]
94: vmovdqu ymm0, [rsi]
    vmovdqu [rdi], ymm0
    add rsi, 32
    add rdi, 32
    cmp rdi, rdx
    jb 94b
    vmovdqu [rdx], ymm1
    vmovdqu ymm0, [rsp]
    vmovdqu ymm1, [rsp + 32]
    add rsp, 64
    ret
82: cmp edx, 8
    jb 83f
    mov rcx, [rsi]
    mov r8, [rsi + rdx - 8]
    mov [rdi], rcx
    mov [rdi + rdx - 8], r8
    ret
83: cmp edx, 4
    jb 84f
    mov ecx, [rsi]
    mov r8d, [rsi + rdx - 4]
    mov [rdi], ecx
    mov [rdi + rdx - 4], r8d
    ret
84: test edx, edx
    jz 86f
    mov cl, [rsi]
    test dl, 2
    jz 85f
    mov r8w, [rsi + rdx - 2]
    mov [rdi + rdx - 2], r8w
85: mov [rdi], cl
86: ret

    # RDI to, SIL the byte, RDX bytes. Returns RDI in RAX.
    .global memset
memset:
    movzx ecx, sil
    cmp rdx, 256
    jae 90f
    mov rax, 0x0101010101010101
    imul rax, rcx
    mov r8, rdi
    cmp rdx, 16
    jb 88f
    # The last word may overlap those before.
    mov [rdi + rdx - 8], rax
    mov ecx, edx
    shr ecx, 3
87: mov [rdi], rax
    add rdi, 8
    dec ecx
    jnz 87b
    mov rax, r8
    ret
90: push rdi
    test ecx, ecx
    jnz 91f
    mov rsi, rdx
    call raw_zero
    pop rax
    ret
91: mov eax, ecx
    mov rcx, rdx
    rep stosb
    pop rax
    ret
88: test edx, edx
    jz 89f
    mov [rdi], al
    inc rdi
    dec edx
    jmp 88b
89: mov rax, r8
    ret
    "#,
    moves = sym crate::arch::features::MOVES,
    wide = const crate::arch::features::WIDE_MOVES,
);
