# From the PVH entry (32-bit protected mode, paging off, EBX = start info) to pvh_main in 64-bit
# mode in the higher half. Nothing is written to memory on the way: the page tables and the GDT are
# data, so that the whole path is a straight line of a few dozen instructions.

    .set VMA, {vma}

# The note by which QEMU, Xen and others find the entry (XEN_ELFNOTE_PHYS32_ENTRY).
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad pvh_start - VMA

    .section .text.boot, "ax", @progbits
    .code32
    .global pvh_start
pvh_start:
    cld
    mov esi, ebx
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb unsuited
    mov eax, 0x80000001
    cpuid
    and edx, (1 << 29) | (1 << 20)          # long mode, no-execute
    cmp edx, (1 << 29) | (1 << 20)
    jne unsuited

    mov eax, offset boot_pml4 - VMA
    mov cr3, eax
    mov eax, cr4
    or eax, 1 << 5                          # PAE
    mov cr4, eax
    mov ecx, 0xC0000080                     # IA32_EFER
    rdmsr
    or eax, (1 << 8) | (1 << 11)            # LME, NXE
    wrmsr
    mov eax, cr0
    or eax, (1 << 31) | (1 << 16)           # PG, WP
    mov cr0, eax
    lgdt [boot_gdt_pointer - VMA]
    .byte 0xEA                              # jmp 0x10:long_mode
    .long long_mode - VMA
    .word 0x10

# A CPU without long mode or NX: say so on both consoles, leave with the code of a kernel failure.
unsuited:
    mov esi, offset unsuited_text - VMA
2:  mov al, [esi]
    test al, al
    jz 3f
    out 0xE9, al
    mov dx, 0x3F8
    out dx, al
    inc esi
    jmp 2b
3:  mov ax, 0x13
    mov dx, 0x501
    out dx, ax
4:  hlt
    jmp 4b

    .code64
long_mode:
    movabs rax, offset higher_half
    jmp rax
higher_half:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    mov rsp, offset boot_stack_top - 16     # the last word is for the per-CPU block
    xor ebp, ebp                            # the end of every backtrace
    mov edi, esi
    call pvh_main
    ud2

    .section .rodata.boot, "a", @progbits
unsuited_text:
    .asciz "kiln: this CPU has no long mode or no NX\n"

    .balign 8
boot_gdt:
    .quad 0, 0
    .quad 0x00AF9B000000FFFF                # 0x10: 64-bit code
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .long boot_gdt - VMA

# The first GiB, twice: at 0, for the way up, and at VMA. Present, writable, 2 MiB pages.
# In .data, because the CPU writes accessed bits.
    .section .data.boot, "aw", @progbits
    .balign 4096
    .global boot_pml4
boot_pml4:
    .quad boot_pdpt - VMA + 3
    .fill 510, 8, 0
    .quad boot_pdpt - VMA + 3
boot_pdpt:
    .quad boot_pd - VMA + 3
    .fill 509, 8, 0
    .quad boot_pd - VMA + 3
    .quad 0
boot_pd:
    .set page, 0
    .rept 512
    .quad page + 0x83
    .set page, page + 0x200000
    .endr
