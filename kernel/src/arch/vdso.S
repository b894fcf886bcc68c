# The vDSO: an ELF shared object of one page that the kernel maps into every program, so that clocks
# are read without entering it. Everything that a dynamic linker, a debugger or an unwinder looks for
# is written down here; the page before it in memory is the data page ([vvar], kiln_core::vdso).
#
# The functions are leaves and touch only registers that a call may change, so one line of unwind
# information describes them all. Each follows the C ABI: 0, or a negative error number.

    .section .rodata.vdso, "a", @progbits
    .balign 16
    .global vdso_start
    .global vdso_end
vdso_start:

# --- ELF header (elf.h) ----------------------------------------------------------------------------

    .byte 0x7F, 'E', 'L', 'F', 2, 1, 1, 0   # 64 bits, little-endian, System V
    .quad 0
    .short 3, 62                            # ET_DYN, EM_X86_64
    .long 1
    .quad 0                                 # no entry point
    .quad 3f - vdso_start
    .quad vdso_sections - vdso_start
    .long 0
    .short 64, 56, (4f - 3f) / 56, 64, (vdso_sections_end - vdso_sections) / 64, 12

    .macro SEGMENT type, flags, start, end, align
    .long \type, \flags
    .quad \start - vdso_start, \start - vdso_start, \start - vdso_start
    .quad \end - \start, \end - \start, \align
    .endm
3:  SEGMENT 1, 5, vdso_start, vdso_end, 4096            # PT_LOAD, R E
    SEGMENT 2, 4, vdso_dynamic, vdso_dynamic_end, 8     # PT_DYNAMIC
    SEGMENT 4, 4, vdso_note, vdso_note_end, 4           # PT_NOTE
    SEGMENT 0x6474E550, 4, vdso_frames_index, vdso_frames_index_end, 4  # PT_GNU_EH_FRAME
4:

# --- Dynamic linking -------------------------------------------------------------------------------

# All symbols in one bucket: a look-up compares a dozen names at most.
    .balign 8
vdso_hash:
    .long 1, 12, 1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0
vdso_hash_end:
    .balign 8
vdso_gnu_hash:
    .long 1, 1, 1, 6                        # one bucket, symbols from 1, one word of filter, its shift
    .quad -1                                # a filter that lets everything through
    .long 1
    .long {hash_clock_gettime}, {hash_vdso_clock_gettime}, {hash_gettimeofday}, {hash_vdso_gettimeofday}
    .long {hash_time}, {hash_vdso_time}, {hash_clock_getres}, {hash_vdso_clock_getres}
    .long {hash_getcpu}, {hash_vdso_getcpu}, {hash_version} + 1
vdso_gnu_hash_end:

    .macro SYMBOL name, info, section, value, size
    .long \name - vdso_names
    .byte \info, 0
    .short \section
    .quad \value, \size
    .endm
    .macro FUNCTION name, plain_name, start, end
    SYMBOL \plain_name, 0x22, 11, \start - vdso_start, \end - \start    # STB_WEAK, STT_FUNC
    SYMBOL \name, 0x12, 11, \start - vdso_start, \end - \start          # STB_GLOBAL
    .endm
    .balign 8
vdso_symbols:
    SYMBOL vdso_names, 0, 0, 0, 0
    FUNCTION vdso_name_1 + 0, vdso_name_1 + 7, vdso_clock_gettime, vdso_clock_gettime_end
    FUNCTION vdso_name_2 + 0, vdso_name_2 + 7, vdso_gettimeofday, vdso_gettimeofday_end
    FUNCTION vdso_name_3 + 0, vdso_name_3 + 7, vdso_time, vdso_time_end
    FUNCTION vdso_name_4 + 0, vdso_name_4 + 7, vdso_clock_getres, vdso_clock_getres_end
    FUNCTION vdso_name_5 + 0, vdso_name_5 + 7, vdso_getcpu, vdso_getcpu_end
    SYMBOL vdso_name_version, 0x11, 0xFFF1, 0, 0        # STB_GLOBAL, STT_OBJECT, SHN_ABS
vdso_symbols_end:
vdso_names:
    .byte 0
# What is behind "__vdso_" is a name as well.
vdso_name_1: .asciz "__vdso_clock_gettime"
vdso_name_2: .asciz "__vdso_gettimeofday"
vdso_name_3: .asciz "__vdso_time"
vdso_name_4: .asciz "__vdso_clock_getres"
vdso_name_5: .asciz "__vdso_getcpu"
vdso_name_version: .asciz "LINUX_2.6"
vdso_name_own: .asciz "linux-vdso.so.1"
vdso_names_end:
    .balign 2
vdso_versions:
    .short 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2
vdso_versions_end:
    .balign 8
vdso_definitions:
    .short 1, 1, 1, 1                       # VER_FLG_BASE: the object's own name
    .long {elf_hash_own}, 20, 28
    .long vdso_name_own - vdso_names, 0
    .short 1, 0, 2, 1                       # LINUX_2.6
    .long {elf_hash_version}, 20, 0
    .long vdso_name_version - vdso_names, 0
vdso_definitions_end:
    .balign 8
vdso_dynamic:
    .quad 14, vdso_name_own - vdso_names    # DT_SONAME
    .quad 4, vdso_hash - vdso_start         # DT_HASH
    .quad 0x6FFFFEF5, vdso_gnu_hash - vdso_start
    .quad 5, vdso_names - vdso_start        # DT_STRTAB
    .quad 6, vdso_symbols - vdso_start      # DT_SYMTAB
    .quad 10, vdso_names_end - vdso_names   # DT_STRSZ
    .quad 11, 24                            # DT_SYMENT
    .quad 0x6FFFFFFC, vdso_definitions - vdso_start     # DT_VERDEF
    .quad 0x6FFFFFFD, 2                     # DT_VERDEFNUM
    .quad 0x6FFFFFF0, vdso_versions - vdso_start        # DT_VERSYM
    .quad 0, 0
vdso_dynamic_end:
    .balign 4
vdso_note:
    .long 6, 4, 0                           # "Linux": the version of the interface
    .asciz "Linux"
    .balign 4
    .long {linux_version}
vdso_note_end:

# --- Unwinding (System V ABI for AMD64, 6.2; LSB 10.6) -----------------------------------------------

    .balign 4
vdso_frames_index:
    .byte 1, 0x1B, 0x03, 0x3B               # pcrel sdata4, udata4, a table of datarel sdata4
    .long vdso_frames - .
    .long 1
    .long vdso_text - vdso_frames_index, 6f - vdso_frames_index
vdso_frames_index_end:
    .balign 8
vdso_frames:
    .long 5f - . - 4                        # CIE
    .long 0
    .byte 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1B
    .byte 0x0C, 7, 8                        # the frame begins 8 above RSP,
    .byte 0x90, 1                           # where the return address is
    .balign 8
5:
6:  .long 7f - . - 4                        # FDE
    .long . - vdso_frames
    .long vdso_text - .
    .long vdso_text_end - vdso_text
    .byte 0
    .balign 8
7:  .long 0
vdso_frames_end:

# --- Functions ---------------------------------------------------------------------------------------

    .balign 64
vdso_text:

# Leaves clock RDI's nanoseconds in RAX; goes to \fallback when the TSC is no clock. Changes RCX, RDX,
# R8 and R9. The same arithmetic as arch::time::now_ns, on the same numbers.
    .macro READ_CLOCK fallback
    lea r8, [rip + vdso_start - 4096]
20: mov r9, [r8 + {sequence}]
    test r9b, 1
    jnz 21f
    cmp byte ptr [r8 + {mode}], 0
    je \fallback
    lfence                                  # not before the sequence was read, nor after what follows
    rdtsc
    shl rdx, 32
    or rax, rdx
    sub rax, [r8 + {start}]
    mul qword ptr [r8 + {scale}]
    shrd rax, rdx, 32
    add rax, [r8 + rdi * 8 + {offsets}]
    cmp r9, [r8 + {sequence}]
    je 22f
21: pause
    jmp 20b
22:
    .endm

    .balign 16
vdso_clock_gettime:
    cmp edi, 11
    ja 30f
    mov edi, edi
    mov ecx, {served}
    bt ecx, edi
    jnc 30f
    READ_CLOCK 30f
    mov ecx, {coarse}
    bt ecx, edi
    jnc 31f
    mov r8, rax
    xor edx, edx
    mov ecx, {coarse_ns}
    div rcx
    sub r8, rdx
    mov rax, r8
31: xor edx, edx
    mov ecx, 1000000000
    div rcx
    mov [rsi], rax
    mov [rsi + 8], rdx
    xor eax, eax
    ret
30: mov eax, 228                            # clock_gettime
    syscall
    ret
vdso_clock_gettime_end:

    .balign 16
vdso_gettimeofday:
    mov r10, rdi
    mov r11, rsi
    test rdi, rdi
    jz 40f
    xor edi, edi
    READ_CLOCK 42f
    xor edx, edx
    mov ecx, 1000000000
    div rcx
    mov [r10], rax
    mov rax, rdx
    xor edx, edx
    mov ecx, 1000
    div rcx
    mov [r10 + 8], rax
40: test r11, r11
    jz 41f
    mov rax, [rip + vdso_start - 4096 + {zone}]
    mov [r11], rax
41: xor eax, eax
    ret
42: mov rdi, r10
    mov rsi, r11
    mov eax, 96                             # gettimeofday
    syscall
    ret
vdso_gettimeofday_end:

    .balign 16
vdso_time:
    mov r10, rdi
    xor edi, edi
    READ_CLOCK 51f
    xor edx, edx
    mov ecx, 1000000000
    div rcx
    test r10, r10
    jz 50f
    mov [r10], rax
50: ret
51: mov rdi, r10
    mov eax, 201                            # time
    syscall
    ret
vdso_time_end:

    .balign 16
vdso_clock_getres:
    cmp edi, 11
    ja 60f
    mov ecx, {served}
    bt ecx, edi
    jnc 60f
    test rsi, rsi
    jz 61f
    mov eax, 1
    mov ecx, {coarse}
    bt ecx, edi
    mov ecx, {coarse_ns}
    cmovc eax, ecx
    mov qword ptr [rsi], 0
    mov [rsi + 8], rax
61: xor eax, eax
    ret
60: mov eax, 229                            # clock_getres
    syscall
    ret
vdso_clock_getres_end:

# The limit of a segment that each CPU has for this: its number, and its node's from bit 12 on.
    .balign 16
vdso_getcpu:
    mov eax, {cpu_number}
    lsl eax, eax
    test rdi, rdi
    jz 70f
    mov ecx, eax
    and ecx, 0xFFF
    mov [rdi], ecx
70: test rsi, rsi
    jz 71f
    shr eax, 12
    mov [rsi], eax
71: xor eax, eax
    ret
vdso_getcpu_end:
vdso_text_end:

# --- Sections, for debuggers -------------------------------------------------------------------------

vdso_section_names:
    .byte 0
vdso_section_1: .asciz ".hash"
vdso_section_2: .asciz ".gnu.hash"
vdso_section_3: .asciz ".dynsym"
vdso_section_4: .asciz ".dynstr"
vdso_section_5: .asciz ".gnu.version"
vdso_section_6: .asciz ".gnu.version_d"
vdso_section_7: .asciz ".dynamic"
vdso_section_8: .asciz ".note"
vdso_section_9: .asciz ".eh_frame_hdr"
vdso_section_10: .asciz ".eh_frame"
vdso_section_11: .asciz ".text"
vdso_section_12: .asciz ".shstrtab"
vdso_section_names_end:

    .macro SECTION_HEADER name, type, flags, start, end, link, info, align, entry
    .long \name - vdso_section_names, \type
    .quad \flags, \start - vdso_start, \start - vdso_start, \end - \start
    .long \link, \info
    .quad \align, \entry
    .endm
    .balign 8
vdso_sections:
    .zero 64
    SECTION_HEADER vdso_section_1, 5, 2, vdso_hash, vdso_hash_end, 3, 0, 8, 4
    SECTION_HEADER vdso_section_2, 0x6FFFFFF6, 2, vdso_gnu_hash, vdso_gnu_hash_end, 3, 0, 8, 0
    SECTION_HEADER vdso_section_3, 11, 2, vdso_symbols, vdso_symbols_end, 4, 1, 8, 24
    SECTION_HEADER vdso_section_4, 3, 2, vdso_names, vdso_names_end, 0, 0, 1, 0
    SECTION_HEADER vdso_section_5, 0x6FFFFFFF, 2, vdso_versions, vdso_versions_end, 3, 0, 2, 2
    SECTION_HEADER vdso_section_6, 0x6FFFFFFD, 2, vdso_definitions, vdso_definitions_end, 4, 2, 8, 0
    SECTION_HEADER vdso_section_7, 6, 2, vdso_dynamic, vdso_dynamic_end, 4, 0, 8, 16
    SECTION_HEADER vdso_section_8, 7, 2, vdso_note, vdso_note_end, 0, 0, 4, 0
    SECTION_HEADER vdso_section_9, 1, 2, vdso_frames_index, vdso_frames_index_end, 0, 0, 4, 0
    SECTION_HEADER vdso_section_10, 1, 2, vdso_frames, vdso_frames_end, 0, 0, 8, 0
    SECTION_HEADER vdso_section_11, 1, 6, vdso_text, vdso_text_end, 0, 0, 64, 0
    # No address: nothing of it is needed at run time.
    .long vdso_section_12 - vdso_section_names, 3
    .quad 0, 0, vdso_section_names - vdso_start, vdso_section_names_end - vdso_section_names
    .long 0, 0
    .quad 1, 0
vdso_sections_end:
vdso_end:
