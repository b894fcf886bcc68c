//! Address spaces: demand-zero, copy-on-write, brk, mmap and its rights, bad pointers.
crate::behaviour::behaviours! { "memory": cow_fork, demand_zero }
