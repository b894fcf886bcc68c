//! Processes: what runs programs on top of threads, address spaces and files.
//!
//! A [`Task`] is a thread of a program, a [`Process`] the group of threads that share a process id
//! ([`group`]); [`table`] knows all of them and who is whose parent.
//!
//! | module | |
//! | --- | --- |
//! | [`task`], [`group`], [`table`] | the objects |
//! | [`clone`] | fork, vfork, clone: making tasks |
//! | [`exec`], [`exe`] | running another program; its file |
//! | [`exit`], [`wait`] | ending, and learning of it |
//! | `core_dump` | the file that a fatal signal leaves |
//! | [`signal`] | sending signals, and [`work`], which delivers them |
//! | [`fault`] | exceptions of a program |
//! | `file_limit` | how large it may make a file |
//! | [`futex`] | sleeping on a word of memory |
//! | [`timers`] | alarms and interval timers |
//! | [`proc`] | what /proc tells of processes |
//! | [`ptrace`] | watching and stopping another task |
//! | [`terminal`] | job control's hooks |
//! | [`usage`], [`taskstats`] | processor time and the rest of rusage; how generic netlink tells it |
//! | [`events`] | what the connector tells of processes |
//! | [`pidfd`] | descriptors that stand for processes |
//! | [`start`] | PID 1, and the job |
//! | [`ipc`] | System V IPC |
//! | [`cgroup`] | control groups |
//! | [`oom`] | the end of memory |
//! | [`unshare`] | what a task no longer shares |
//! | [`rseq`] | restartable sequences |
//! | [`seccomp`], [`user_dispatch`] | calls that a program lets itself not make, or serves itself |
//!
//! A task never ends in the middle of a call: whoever wants it to end says so, and it ends in
//! [`work`], with nothing but its main loop on its stack.
//!
//! Lock order: the table, a process's group, a task's signals. All three are spin locks.

mod async_io;
mod cgroup;
pub(crate) mod clone;
mod core_dump;
pub(crate) mod events;
pub(crate) mod exe;
pub(crate) mod exec;
pub(crate) mod exit;
pub(crate) mod fault;
mod file_limit;
pub(crate) mod futex;
pub(crate) mod group;
pub(crate) mod host;
pub(crate) mod ipc;
pub(crate) mod oom;
pub(crate) mod pidfd;
pub(crate) mod proc;
pub(crate) mod ptrace;
pub(crate) mod rseq;
pub(crate) mod seccomp;
pub(crate) mod signal;
pub(crate) mod start;
pub(crate) mod table;
pub(crate) mod task;
pub(crate) mod taskstats;
pub(crate) mod terminal;
pub(crate) mod timers;
pub(crate) mod unshare;
pub(crate) mod usage;
pub(crate) mod user_dispatch;
pub(crate) mod wait;

pub(crate) use exit::end_task;
pub(crate) use fault::{on_fault, on_page_fault};
pub(crate) use group::Process;
pub(crate) use signal::{tell_overrun, work};
pub(crate) use start::{init, spawn_job};
pub(crate) use task::{Held, Restart, Task, current};
