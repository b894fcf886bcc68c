//! Exceptions from user mode and the signals they become.
mod probe;

crate::behaviour::behaviours! { "fault":
    divide ["signal:8"], divide_overflow, undefined ["signal:4"], null_read ["signal:11"],
    null_write, breakpoint ["signal:5"], debug_exception ["cpu"], halt ["signal:11"], privileged,
    not_canonical, stack_not_canonical ["cpu"], kernel_address, read_only, not_executable ["signal:11"],
    jump_null, jump_not_canonical, unaligned ["signal:7", "cpu"], single_step, float_divide,
    simd_divide ["cpu"], interrupt_numbers ["cpu"], int80, selectors, far_return ["cpu"], bad_iret ["cpu"], stack_overflow,
    stack_growth, beyond_file ["signal:7"], odd_entries ["cpu"], stack_pointer_syscall, top_of_memory,
    vsyscall, mov_ss, fix_and_retry, string_halfway, in_handler ["signal:11"], address_kept,
}
