//! Files and directories.
crate::behaviour::behaviours! { "file": open_flags }
