//! Registers and flags across system calls, interrupts and signals.
crate::behaviour::behaviours! { "cpu":
    registers_syscall, registers_preempt, flags_syscall, xmm_kept, ymm_kept, zmm_kept,
    control_words, x87_kept, fork_inherits, fs_base, gs_base, segments, own_segments, return_address,
    instructions,
}
