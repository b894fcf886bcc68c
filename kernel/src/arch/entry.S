# The ways into the kernel and the way out. See entry.rs for the list.
#
# GS: in user mode GS holds the program's base and KERNEL_GS_BASE the per-CPU block; SWAPGS at each
# crossing. Only the vectors with IST stacks can interrupt the kernel while GS is the program's;
# they find the block through the last word of their stack.
#
# The kernel stack while a thread is in user mode, from the top down: the frames that called
# run_user, the registers it saved and what it was given. TSS.RSP0 points there, and so do syscalls.
#
# DS, ES, FS and the bases of FS and GS are the running thread's all the time: the scheduler switches
# them.

# --- Exceptions and interrupts -----------------------------------------------------------------

    .section .text.entry, "ax", @progbits
    .balign 16
    .global trap_stubs
    .global trap_stubs_end
    .set number, 0
trap_stubs:
    .rept 256
    .balign 16
    # The vectors for which the CPU pushes an error code get none from us.
    .if (number == 8) || ((number >= 10) && (number <= 14)) || (number == 17) || (number == 21) || (number == 29) || (number == 30)
    .else
    push 0
    .endif
    .byte 0x68                              # push imm32
    .long number
    .if (number == 1) || (number == 2) || (number == 8) || ((number >= 11) && (number <= 14)) || (number == 18)
    jmp trap_own_stack
    .else
    jmp trap
    .endif
    .set number, number + 1
    .endr
    .balign 16
trap_stubs_end:

# Pushes all registers in the order of trap::Frame and cleans the flags: interrupted code may have
# had AC set (a program, or a user copy), which would switch SMAP off for the handler.
    .macro SAVE_KERNEL_REGISTERS
    push rax
    push rcx
    push rdx
    push rbx
    push rbp
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    push 2
    popfq
    .endm

# On the stack: vector, error code, RIP, CS, RFLAGS, RSP, SS.
trap:
    test byte ptr [rsp + 24], 3
    jnz from_user
    SAVE_KERNEL_REGISTERS
    mov rdi, rsp
    call {handler}
    jmp restore_kernel_registers

# The same on an IST stack (or on the boot stack, before there are any). From the kernel, GS may be
# either side's: keep it, use the stack's own word, give it back.
trap_own_stack:
    test byte ptr [rsp + 24], 3
    jnz from_user
    SAVE_KERNEL_REGISTERS
    mov rsi, rsp
    or rsi, 0x3FFF                          # stacks are of 16 KiB, and aligned so
    mov rsi, [rsi - 7]
    test byte ptr [{has_fsgsbase}], 1
    jz 50f
    rdgsbase rbx
    wrgsbase rsi
    mov rdi, rsp
    call {handler}
    wrgsbase rbx
restore_kernel_registers:
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rbp
    pop rbx
    pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq

# Without FSGSBASE the same through the MSR, slowly. (No program runs on such a CPU, but its report
# shall come.)
50: mov ecx, 0xC0000101                     # IA32_GS_BASE
    rdmsr
    shl rdx, 32
    lea rbx, [rax + rdx]
    mov eax, esi
    mov rdx, rsi
    shr rdx, 32
    wrmsr
    mov rdi, rsp
    call {handler}
    mov ecx, 0xC0000101
    mov eax, ebx
    mov rdx, rbx
    shr rdx, 32
    wrmsr
    jmp restore_kernel_registers

# Calls one of the functions that run_user was given, with the program. Goes on with the context in RDI and
# interrupts off if it answers 0 and nothing else is to run; else run_user returns.
    .macro SERVE at
    mov rdi, [rsp]
    call [rsp + \at]
    test eax, eax
    jnz return_from_run_user
    cli
    cmp byte ptr gs:[{this_need_resched}], 0
    jne 30f
    mov rdi, [rsp + 24]
    .endm

# A trap in user mode, on any stack: everything goes into the context, and run_user returns.
from_user:
    swapgs
    push rax
    mov rax, gs:[{this_context}]
    mov [rax + {rbx}], rbx
    mov [rax + {rcx}], rcx
    mov [rax + {rdx}], rdx
    mov [rax + {rsi}], rsi
    mov [rax + {rdi}], rdi
    mov [rax + {rbp}], rbp
    mov [rax + {r8}], r8
    mov [rax + {r9}], r9
    mov [rax + {r10}], r10
    mov [rax + {r11}], r11
    mov [rax + {r12}], r12
    mov [rax + {r13}], r13
    mov [rax + {r14}], r14
    mov [rax + {r15}], r15
    mov rcx, cr2
    mov [rax + {fault_address}], rcx
    pop qword ptr [rax + {rax}]
    pop qword ptr [rax + {vector}]
    pop qword ptr [rax + {error}]
    pop qword ptr [rax + {rip}]
    pop rcx
    mov [rax + {cs}], cx
    pop qword ptr [rax + {rflags}]
    pop qword ptr [rax + {rsp}]
    pop rcx
    mov [rax + {ss}], cx
    mov qword ptr [rax + {orig_rax}], -1
    mov rdi, rax
    mov rsp, gs:[{this_rsp0}]
    # A trap leaves SS null, SYSCALL loads it. An emulator would translate all of the kernel for either.
    push 2
    mov ecx, {kernel_data}
    mov ss, ecx
    popfq
    mov eax, {trap}
    cmp byte ptr [rdi + {vector}], 14       # #PF
    jne return_from_run_user
    SERVE 16
    jmp enter_user

# EAX = what run_user returns, RSP = where it keeps what it was given.
return_from_run_user:
    add rsp, 40
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

# --- System calls ------------------------------------------------------------------------------

    .balign 16
    .global syscall_entry
syscall_entry:
    swapgs
    mov gs:[{this_user_rsp}], rsp
    # RSP is the one register that is free. It is no stack for these instructions, which nothing that
    # would push there can interrupt: what comes with interrupts off has a stack of its own.
    mov rsp, gs:[{this_context}]
    mov [rsp + {rax}], rax
    mov [rsp + {orig_rax}], rax
    mov [rsp + {rbx}], rbx
    mov [rsp + {rcx}], rcx
    mov [rsp + {rip}], rcx
    mov [rsp + {rdx}], rdx
    mov [rsp + {rsi}], rsi
    mov [rsp + {rdi}], rdi
    mov [rsp + {rbp}], rbp
    mov [rsp + {r8}], r8
    mov [rsp + {r9}], r9
    mov [rsp + {r10}], r10
    mov [rsp + {r11}], r11
    mov [rsp + {rflags}], r11
    mov [rsp + {r12}], r12
    mov [rsp + {r13}], r13
    mov [rsp + {r14}], r14
    mov [rsp + {r15}], r15
    mov rdx, gs:[{this_user_rsp}]
    mov [rsp + {rsp}], rdx
    mov dword ptr [rsp + {cs}], {user_selectors}
    mov rsp, gs:[{this_rsp0}]
    sti
    SERVE 8

    # Back at once, with RAX from the context. RBX, RBP and R12 to R15 are the program's still: the function
    # keeps them. SYSCALL left in RCX and R11 what SYSRET takes from there.
    mov gs:[{this_rsp0}], rsp
    mov gs:[{this_context}], rdi
    mov r11, [rdi + {rflags}]
    test r11d, 0x10100                      # TF, RF: see below
    jnz 10f
    mov rcx, [rdi + {rip}]
    mov rsi, [rdi + {rsi}]
    mov r8, [rdi + {r8}]
    mov r9, [rdi + {r9}]
    mov r10, [rdi + {r10}]
    swapgs
    mov rax, [rdi + {rax}]
    mov rdx, [rdi + {rdx}]
    mov rsp, [rdi + {rsp}]
    mov rdi, [rdi + {rdi}]
    sysretq

# The same from compatibility mode, which has no calls. Nothing of the kernel's is touched, not even GS.
    .balign 2
    .global syscall_entry_32
syscall_entry_32:
    mov eax, -38                            # ENOSYS
    sysret

# --- The way out -------------------------------------------------------------------------------

    .balign 16
    .global run_user
run_user:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    # What serves the program finds them so, with RSP a multiple of 16 (hence five) as the ABI wants it.
    push rcx
    push rdi
    push rcx
    push rsi
    push rdx
    cli
    cmp byte ptr gs:[{this_need_resched}], 0
    jne 30f

# RDI = the context.
enter_user:
    mov gs:[{this_rsp0}], rsp
    mov gs:[{this_context}], rdi
10: mov rbx, [rdi + {rbx}]
    mov rbp, [rdi + {rbp}]
    mov rsi, [rdi + {rsi}]
    mov r8, [rdi + {r8}]
    mov r9, [rdi + {r9}]
    mov r10, [rdi + {r10}]
    mov r12, [rdi + {r12}]
    mov r13, [rdi + {r13}]
    mov r14, [rdi + {r14}]
    mov r15, [rdi + {r15}]
    mov rcx, [rdi + {rip}]
    mov r11, [rdi + {rflags}]
    and r11d, {flags_mask}
    or r11d, 0x202                          # IF, and the bit that is always set

    # SYSRET is faster but takes RIP from RCX and RFLAGS from R11, faults in ring 0 on Intel CPUs
    # when RCX isn't canonical, and doesn't restore RF or honour TF as IRETQ does. Its selectors are
    # always the same.
    cmp dword ptr [rdi + {cs}], {user_selectors}
    jne 20f
    cmp rcx, [rdi + {rcx}]
    jne 20f
    cmp r11, [rdi + {r11}]
    jne 20f
    test r11d, 0x10100
    jnz 20f
    mov rdx, rcx
    shr rdx, 47
    jnz 20f

    swapgs
    mov rax, [rdi + {rax}]
    mov rdx, [rdi + {rdx}]
    mov rsp, [rdi + {rsp}]
    mov rdi, [rdi + {rdi}]
    sysretq

20: movzx eax, word ptr [rdi + {ss}]
    push rax
    push qword ptr [rdi + {rsp}]
    push r11
    movzx eax, word ptr [rdi + {cs}]
    push rax
    push rcx
    swapgs
    mov rax, [rdi + {rax}]
    mov rcx, [rdi + {rcx}]
    mov rdx, [rdi + {rdx}]
    mov r11, [rdi + {r11}]
    mov rdi, [rdi + {rdi}]
13: iretq

30: mov eax, {reschedule}
    jmp return_from_run_user

# An RIP, CS or SS that can't be: as if the program had raised the exception (RAX, RDX) with these
# registers.
40: swapgs
    mov rsp, gs:[{this_rsp0}]
    mov rcx, gs:[{this_context}]
    mov [rcx + {vector}], rax
    mov [rcx + {error}], rdx
    mov eax, {trap}
    jmp return_from_run_user

    .pushsection .ex_table, "a", @progbits
    .quad 13b, 40b
    .popsection
