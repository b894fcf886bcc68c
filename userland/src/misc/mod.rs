//! What fits nowhere else.
crate::behaviour::behaviours! { "misc": unknown_syscalls }
