//! Processor time and the rest of `struct rusage`, of a thread, a process and its children.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::time::Timeval;

use super::group::Process;
use super::task::Task;
use crate::sync::SpinLock;
use crate::vm::AddressSpace;

/// What a thread, or several, have used.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Usage {
    /// Nanoseconds in user mode.
    pub(crate) user_ns: u64,
    /// Nanoseconds in the kernel.
    pub(crate) system_ns: u64,
    /// Faults served without reading.
    pub(crate) minor_faults: u64,
    /// Faults that read from a disk.
    pub(crate) major_faults: u64,
    /// Times it gave up the CPU by itself.
    pub(crate) voluntary: u64,
    /// Times it had to.
    pub(crate) involuntary: u64,
    /// Largest resident set, in KiB.
    pub(crate) max_resident_kib: u64,
    /// What its calls moved: bytes read and written, and how many calls read and wrote; bytes read from disks, and to
    /// be written to them.
    pub(crate) moved: [u64; 6],
}

/// Places of [`Usage::moved`].
const READ: usize = 0;
const WRITTEN: usize = 1;

/// What a thread's calls move ([`Usage::moved`]); only the thread itself adds to it.
#[derive(Default)]
pub(crate) struct Moved([AtomicU64; 4]);

impl Moved {
    fn add(&self, what: usize, bytes: u64) {
        for (at, count) in [(what, bytes), (what + 2, 1)] {
            if let Some(to) = self.0.get(at) {
                let so_far = to.load(Ordering::Relaxed);
                to.store(so_far.wrapping_add(count), Ordering::Relaxed);
            }
        }
    }

    /// A call has read so much; 0 also for one that failed.
    pub(crate) fn read(&self, bytes: u64) {
        self.add(READ, bytes);
    }

    /// A call has written so much; 0 also for one that failed.
    pub(crate) fn written(&self, bytes: u64) {
        self.add(WRITTEN, bytes);
    }
}

/// Bytes of `struct rusage`.
pub(crate) const RUSAGE_SIZE: usize = 144;

impl Usage {
    /// Nothing.
    const NONE: Self = Self {
        user_ns: 0,
        system_ns: 0,
        minor_faults: 0,
        major_faults: 0,
        voluntary: 0,
        involuntary: 0,
        max_resident_kib: 0,
        moved: [0; 6],
    };

    /// Adds another's; of resident sets the larger counts.
    pub(crate) fn add(&mut self, other: &Self) {
        self.user_ns += other.user_ns;
        self.system_ns += other.system_ns;
        self.minor_faults += other.minor_faults;
        self.major_faults += other.major_faults;
        self.voluntary += other.voluntary;
        self.involuntary += other.involuntary;
        self.max_resident_kib = self.max_resident_kib.max(other.max_resident_kib);
        for (own, other) in self.moved.iter_mut().zip(other.moved) {
            *own += other;
        }
    }

    /// User and system time together.
    pub(crate) fn total_ns(&self) -> u64 {
        self.user_ns + self.system_ns
    }

    /// As `struct rusage` (bits/types/struct_rusage.h).
    pub(crate) fn encode(&self) -> [u8; RUSAGE_SIZE] {
        let user = Timeval::from_ns(self.user_ns);
        let system = Timeval::from_ns(self.system_ns);
        let [.., from_disk, to_disk] = self.moved;
        let words = [
            user.sec.cast_unsigned(),
            user.usec.cast_unsigned(),
            system.sec.cast_unsigned(),
            system.usec.cast_unsigned(),
            self.max_resident_kib,
            0, // ru_ixrss
            0, // ru_idrss
            0, // ru_isrss
            self.minor_faults,
            self.major_faults,
            0,              // ru_nswap
            from_disk >> 9, // ru_inblock
            to_disk >> 9,   // ru_oublock
            0,              // ru_msgsnd
            0,              // ru_msgrcv
            0,              // ru_nsignals
            self.voluntary,
            self.involuntary,
        ];
        let mut bytes = [0; RUSAGE_SIZE];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// What one thread has used.
pub(crate) fn of_task(task: &Task) -> Usage {
    let Some(thread) = task.thread() else {
        return Usage::default();
    };
    let (user_ns, system_ns) = thread.cpu_times();
    let (voluntary, involuntary) = thread.switches();
    let [read, written, reads, writes] = task
        .moved
        .0
        .each_ref()
        .map(|count| count.load(Ordering::Relaxed));
    let [from_disk, to_disk] = thread.disk_bytes();
    Usage {
        user_ns,
        system_ns,
        voluntary,
        involuntary,
        moved: [read, written, reads, writes, from_disk, to_disk],
        ..Usage::default()
    }
}

/// What a process has used: its threads, living and ended. Memory is counted by address space.
pub(crate) fn of_process(process: &Arc<Process>) -> Usage {
    let mut usage = *process.ended_threads.lock();
    let group = process.group.lock();
    for task in &group.tasks {
        usage.add(&of_task(task));
    }
    let space = group.tasks.first().and_then(|task| task.space().ok());
    drop(group);
    if let Some(space) = space {
        usage.add(&of_space(&space));
    }
    usage
}

/// What is counted by address space.
pub(super) fn of_space(space: &AddressSpace) -> Usage {
    let (minor_faults, major_faults) = space.fault_counts();
    Usage {
        minor_faults,
        major_faults,
        max_resident_kib: space.most_resident_pages() * 4,
        ..Usage::default()
    }
}

/// What every process that has ended used, and every thread.
static TOTALS: SpinLock<Usage> = SpinLock::new(Usage::NONE);

/// A process has ended that used this.
pub(super) fn count_ended(usage: &Usage) {
    TOTALS.lock().add(usage);
}

/// What all processes that have ended used.
pub(crate) fn totals() -> Usage {
    *TOTALS.lock()
}

/// Processor time of a process in user mode, in nanoseconds.
pub(crate) fn user_ns(process: &Process) -> u64 {
    let mut total = process.ended_threads.lock().user_ns;
    for task in &process.group.lock().tasks {
        total += of_task(task).user_ns;
    }
    total
}

/// Processor time of a process, in nanoseconds.
pub(crate) fn cpu_ns(process: &Process) -> u64 {
    let mut total = process.ended_threads.lock().total_ns();
    for task in &process.group.lock().tasks {
        total += of_task(task).total_ns();
    }
    total
}
