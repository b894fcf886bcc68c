//! Address spaces: demand-zero, copy-on-write, brk, mmap and its rights, bad pointers.
crate::behaviour::behaviours! { "memory":
    demand_zero, cow_fork, cow_kernel_writes, cow_storm, shared_anonymous, break_grows,
    break_limits, map_errors, map_fixed, map_hint, unmap_holes, unmap_errors, protect,
    protect_errors, protect_split, none_then_some, generated_code, reserve_sparse, many_maps,
    private_file, shared_file, file_end, remap, advise, resident, sync_map, parts, sealed, lock_memory, guard_stack, address_limit,
    bad_pointers, half_mapped, read_only_targets, bad_vectors, bad_paths, big_buffers, zero_page, out_of_memory,
    stale_rights, cow_threads ["threads"], common_tables, table_storm ["threads"],
    policies, shown, read_around, one_page_often, collapse ["threads"],
}
