//! fork, vfork, clone, wait and exit; groups and sessions; identities and limits.
crate::behaviour::behaviours! { "process":
    exit_codes, exit_self ["exit:213"], fork_relations, fork_files, fork_many, fork_deep,
    wait_statuses, wait_nohang, wait_errors, wait_any, wait_group, wait_stopped, wait_id,
    wait_usage, wait_threads ["threads"], looked_into ["root"], zombie, orphan, orphan_clone, auto_reap, last_thread ["threads"], kill_forking, vfork_shares, vfork_exec, clone_files, clone_fs,
    clone_tid, clone_exit_signal, clone_parent, clone_errors, clone3, groups, sessions,
    identities ["root"], saved_ids ["root"], group_ids ["root"], limits, limit_files,
    limit_file_size, core_file, core_threads ["threads", "slow"], priority, names, exit_closes, exit_group ["exit:7"], death_signal,
    threads_join ["threads"], threads_exit_group ["threads", "exit:5"], threads_tls ["threads"],
    descriptor ["root"], trace ["root"], owned_locks, controls ["root"],
    wait_rest ["threads"], limits_kept ["root", "slow"], tsc_faults ["threads"],
    control_groups ["root"], thread_limits ["root", "alone"],
    filters ["root", "threads"], served_calls, watchpoints, limits_of_user ["root"],
}
