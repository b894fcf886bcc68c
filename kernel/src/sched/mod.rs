//! Threads of the kernel: who runs, who waits, and for how long.
//!
//! | module | |
//! | --- | --- |
//! | [`thread`] | [`Thread`], its life from [`spawn`] to [`exit_current`] |
//! | [`cpu`] | each CPU's run queue, preemption, the switch from one thread to another, idling |
//! | [`account`] | what is counted for `/proc` |
//! | [`balance`] | which CPU a thread goes to |
//! | [`budget`] | what threads may have that come before all others |
//! | [`smp`] | the other CPUs on their way up |
//! | [`stacks`] | kernel stacks for the next threads |
//! | [`wait`] | [`WaitQueue`]: sleeping until a condition holds |
//! | [`poll`] | [`Poller`]: waiting on many queues at once |
//! | [`lock`] | [`Mutex`] and [`RwLock`], which sleep |
//! | [`timer`] | what happens when: sleeping until a time, [`Timer`] |
//!
//! The kernel is preempted only where it says so, at [`resched`], [`yield_now`] and the waits.
//! Interrupt handlers may wake threads; everything else happens in threads. A CPU with nothing to
//! run idles in the thread that ran last, so that waking that thread again costs no switch.

mod account;
mod balance;
mod budget;
mod cpu;
mod lock;
mod poll;
#[cfg(feature = "selftest")]
pub(crate) mod selftest;
pub(crate) mod smp;
mod stacks;
mod thread;
mod timer;
mod wait;

pub(crate) use account::{CpuCounts, active, counts, load};
pub(crate) use budget::{Overbooked, hold, limit, set_limit};
pub(crate) use cpu::{
    ROUND_NS, USUAL_ROUND_NS, current, idle_ns, init, resched, running_name, yield_now,
};
pub(crate) use lock::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub(crate) use poll::Poller;
pub(crate) use thread::{
    NOTIFY_AGAIN, NOTIFY_ATTENDED, NOTIFY_KILL, NOTIFY_MOVED, NOTIFY_REGISTERS, NOTIFY_SHARED,
    NOTIFY_SIGNAL, Thread, ThreadParts, prepare, spawn,
};
pub(crate) use timer::{OnExpiry, Timer, sleep_until};
pub(crate) use wait::{Deadline, Mode, WaitQueue, Wake, WakeTarget};
