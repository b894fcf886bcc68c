//! Registers and flags across system calls, interrupts and signals.
crate::behaviour::behaviours! { "cpu": registers_syscall }
