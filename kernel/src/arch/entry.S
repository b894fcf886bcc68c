# The ways into the kernel and the way out. See entry.rs for the list.
#
# GS: in user mode GS holds the program's base and KERNEL_GS_BASE the per-CPU block; SWAPGS at each
# crossing. Only the vectors with IST stacks can interrupt the kernel while GS is the program's;
# they find the block through the last word of their stack.
#
# The kernel stack while a thread is in user mode, from the top down: the frames that called
# run_user, the registers it saved and what it was given. TSS.RSP0 points there, and so do syscalls.
#
# A context's address is, in this file, that of its first field which a system call doesn't push.
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
# interrupts off if it answers 0 and nothing else is to run; else at `stopped` with both in AL (see WHY).
#
# The functions keep RBX, RBP and R12 to R15, as the ABI has it, so the context needs them only when run_user returns.
    .macro SERVE at, stopped
    mov rdi, [rsp]
    call [rsp + \at]
    cli
    or al, gs:[{this_need_resched}]
    jnz \stopped
    mov rdi, [rsp + 24]
    .endm

# EAX = what run_user returns: what the function answered, which comes first, or that something else is to run.
    .macro WHY
    sti
    and eax, {answers}
    jnz 9f
    mov eax, {reschedule}
9:
    .endm

# A trap in user mode, on any stack: everything goes into the context, and run_user returns.
from_user:
    swapgs
    push rax
    mov rax, gs:[{this_context}]
    mov [rax + {rcx}], rcx
    mov [rax + {rdx}], rdx
    mov [rax + {rsi}], rsi
    mov [rax + {rdi}], rdi
    mov [rax + {r8}], r8
    mov [rax + {r9}], r9
    mov [rax + {r10}], r10
    mov [rax + {r11}], r11
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
    jne stop_program
    SERVE 16, stop_fault
    jmp reenter_user
stop_fault:
    WHY

# EAX = what run_user returns, RSP = where it keeps what it was given. The registers that functions keep are the
# program's still.
stop_program:
    mov rdi, [rsp + 24]
    mov [rdi + {rbx}], rbx
    mov [rdi + {rbp}], rbp
    mov [rdi + {r12}], r12
    mov [rdi + {r13}], r13
    mov [rdi + {r14}], r14
    mov [rdi + {r15}], r15

# The same with all of the program's registers in the context.
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
    # RSP is the one register that is free. The context is the stack for these instructions: its first fields are in
    # the order of the pushes, and its address here is the one behind them. Nothing else pushes there, for what comes
    # with interrupts off has a stack of its own.
    mov rsp, gs:[{this_context}]
    push gs:[{this_user_rsp}]
    push rax
    push rax
    push rcx
    push r11
    push rdi
    push rsi
    push rdx
    push r10
    push r8
    push r9
    push {user_selectors}
    mov rsp, gs:[{this_rsp0}]
    sti
    SERVE 8, stop_call

    # Back at once, with RAX from the context. SYSRET takes RIP and RFLAGS from where SYSCALL put them.
    mov gs:[{this_rsp0}], rsp
    mov gs:[{this_context}], rdi
    mov r11, [rdi + {rflags}]
    test r11d, 0x10100                      # TF, RF: see below
    jnz 8f
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

    # What SYSCALL left in RCX and R11 isn't in the context yet.
8:  mov rcx, [rdi + {rip}]
    mov [rdi + {rcx}], rcx
    mov [rdi + {r11}], r11
    jmp 10f
stop_call:
    WHY
    cmp eax, {replaced}
    je return_from_run_user
    mov rdi, [rsp + 24]
    mov rcx, [rdi + {rip}]
    mov [rdi + {rcx}], rcx
    mov rcx, [rdi + {rflags}]
    mov [rdi + {r11}], rcx
    jmp stop_program

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
    add rdi, {pushed}
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
    mov rbx, [rdi + {rbx}]
    mov rbp, [rdi + {rbp}]
    mov r12, [rdi + {r12}]
    mov r13, [rdi + {r13}]
    mov r14, [rdi + {r14}]
    mov r15, [rdi + {r15}]
reenter_user:
    mov gs:[{this_rsp0}], rsp
    mov gs:[{this_context}], rdi
10: mov rsi, [rdi + {rsi}]
    mov r8, [rdi + {r8}]
    mov r9, [rdi + {r9}]
    mov r10, [rdi + {r10}]
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
    jmp stop_program

    .pushsection .ex_table, "a", @progbits
    .quad 13b, 40b
    .popsection
