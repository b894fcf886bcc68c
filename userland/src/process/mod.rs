//! fork, vfork, clone, wait and exit; groups and sessions; identities and limits.
crate::behaviour::behaviours! { "process":
    exit_codes, exit_self ["exit:213"], fork_relations, wait_statuses, wait_nohang, wait_errors,
    vfork_shares,
}
