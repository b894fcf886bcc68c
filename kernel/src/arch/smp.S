# Where other CPUs start: `ap_trampoline` is copied to a page below 1 MiB, which STARTUP names. From
# real mode it goes straight to 64-bit mode on boot.S's tables, which map the first GiB at 0 too, then
# to the higher half, the kernel's own tables and a guarded stack.

    .section .rodata.smp, "a", @progbits
    .balign 16
    .global ap_trampoline
    .global ap_trampoline_end
ap_trampoline:
    .code16
    cli
    mov ax, cs
    mov ds, ax
    .byte 0x0F, 0x01, 0x16                  # lgdt [ap_gdt_pointer], which the assembler won't take
    .word ap_gdt_pointer - ap_trampoline
    mov eax, offset boot_pml4 - {vma}
    mov cr3, eax
    mov eax, cr4
    or eax, 1 << 5                          # PAE
    mov cr4, eax
    mov ecx, 0xC0000080                     # IA32_EFER
    rdmsr
    or eax, (1 << 8) | (1 << 11)            # LME, NXE
    wrmsr
    mov eax, cr0
    and eax, 0x9FFFFFFF                     # INIT leaves the caches off: CD, NW
    or eax, 0x80010001                      # PG, WP, PE
    mov cr0, eax
    .byte 0x66, 0xEA                        # jmp 0x10:ap_long_mode
    .long ap_long_mode - ap_trampoline + {page}
    .word 0x10

    .balign 8
ap_gdt:
    .quad 0, 0
    .quad 0x00AF9B000000FFFF                # 0x10: 64-bit code
ap_gdt_pointer:
    .word . - ap_gdt - 1
    .long ap_gdt - ap_trampoline + {page}

    .code64
ap_long_mode:
    movabs rax, offset ap_higher_half
    jmp rax
ap_trampoline_end:

# Each CPU takes a number, and with it the stack that was made for that number. One too many halts.
    .section .text.smp, "ax", @progbits
ap_higher_half:
    mov rax, [rip + {root}]
    mov cr3, rax
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    mov eax, 1
    lock xadd [rip + {next}], eax
    cmp eax, [rip + {count}]
    jae 2f
    lea rcx, [rip + {stacks}]
    mov edi, eax
    mov rsp, [rcx + rdi * 8]
    xor ebp, ebp                            # the end of every backtrace
    call {main}
2:  cli
    hlt
    jmp 2b
