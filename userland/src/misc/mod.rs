//! What fits nowhere else: system information, random numbers, scheduling, odd descriptors.
crate::behaviour::behaviours! { "misc":
    unknown_syscalls, system_name, system_info, random, kernel_numbers ["root"], rare_calls ["root"], yields, ioctl_errors, limits_list,
    personality, cpu_number, affinity, host_name ["root"], mount_errors, proc_files,
    process_files, counted, told_changes ["root"],
    shell_job, leak_descriptors, fork_exec_many ["slow"],
}
