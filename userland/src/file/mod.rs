//! Files and directories.
mod show_stat;

crate::behaviour::behaviours! { "file":
    open_flags, open_special, seek, positioned, vectors, append_shared, truncate, holes, allocate,
    stat_fields, stat_kinds, stat_x, stat_errors, times, times_set, times_told, mode_bits, umask, permission ["root"], owner ["root"],
    sticky ["root"], protected_links ["root"], extents, disk_limits, disk_requests, block_device, access_check ["root"], set_group_id ["root"], access_errors, mkdir_rmdir, mknod, link_unlink, unlink_open, rename_basic,
    rename_errors, rename_dirs, rename_flags, symlinks, symlink_loops, symlink_final, path_walk, walk_limits, dot_names,
    at_calls, cwd, cwd_removed, root_change ["root"], directory_list, directory_big ["slow"], directory_seek, directory_change,
    file_system, sync, devices, dev_fd, send_file, copy_range, locks, locks_told, self_links, tree, big_file, random_access,
    limits_names, control, unnamed, async_io, lock_ring, whiteout ["root"], handles ["root"], directory_notice, leases ["root"],
}
