//! [`Thread`]: a flow of execution with a kernel stack of its own.
//!
//! Threads that run programs have a FPU state and the token of an address space besides; what else
//! a program's thread is, the `process` room knows. A thread is made by [`prepare`] or [`spawn`]
//! and ends in [`exit_current`]; its stack goes with its last reference, never while it is on it.
//! How it shares the CPUs: [`policy`]; what its time is spent on: [`times`].

mod policy;
mod times;

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::{
    AtomicBool, AtomicI8, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering,
};

use kiln_core::bandwidth::Reservation;
use kiln_core::num::low8;
use kiln_core::runqueue;
use kiln_core::timers::TimerId;

use super::budget::{self, NOTHING_LENT};
use super::wait::{Link, WakeTarget};
use super::{cpu, stacks, timer};
use crate::arch::fpu::FpuState;
use crate::arch::segments::{SavedSegments, Segments};
use crate::arch::switch;
use crate::mm::OutOfMemory;
use crate::mm::kmem;
use crate::mm::paging::Root;
use crate::mm::stack::KernelStack;
use crate::sync::{IrqLock, Once, SpinLock};
pub(super) use policy::Kind;
use times::Times;

/// A signal may be there for the thread: interruptible waits end.
pub(crate) const NOTIFY_SIGNAL: u32 = 1;
/// The thread is to end: killable waits end too.
pub(crate) const NOTIFY_KILL: u32 = 2;
/// What its task shares isn't what it was: the thread must look again.
pub(crate) const NOTIFY_SHARED: u32 = 4;
/// Its calls are attended to, or were.
pub(crate) const NOTIFY_ATTENDED: u32 = 8;
/// It is on another CPU than before.
pub(crate) const NOTIFY_MOVED: u32 = 16;
/// The call in progress changed more of its registers than RAX.
pub(crate) const NOTIFY_REGISTERS: u32 = 32;
/// The call in progress is to be made again, with all registers at hand.
pub(crate) const NOTIFY_AGAIN: u32 = 128;
/// It has had the CPU for as long as it may, for now.
pub(super) const NOTIFY_HELD: u32 = 64;

/// Running, or in a run queue.
pub(super) const RUNNING: u8 = 0;
/// Waiting to be woken.
pub(super) const PARKED: u8 = 1;
/// Woken, perhaps before it parked.
pub(super) const NOTIFIED: u8 = 2;

/// What a thread runs.
pub(crate) type Body = Box<dyn FnOnce() + Send>;

/// A thread.
pub(crate) struct Thread {
    name: SpinLock<[u8; NAME_SIZE]>,
    pub(super) state: AtomicU8,
    notify: AtomicU32,
    /// Its place in the wait queue it sleeps in.
    pub(super) link: Link,
    /// Where its timed waits expire.
    pub(super) timer: Once<TimerId>,
    /// A timed wait has expired.
    pub(super) timed_out: AtomicBool,
    /// It is on a CPU, or its registers aren't saved yet.
    pub(super) on_cpu: AtomicBool,
    /// Its stack pointer while it isn't on a CPU.
    pub(super) stack_pointer: AtomicU64,
    /// `None` for the thread that the boot became, whose stack is the boot's.
    stack: Option<KernelStack>,
    body: SpinLock<Option<Body>>,
    /// The state of the FPU while another thread runs; `None` for threads of the kernel alone.
    pub(super) fpu: Option<SpinLock<FpuState>>,
    /// What its segment registers hold while another thread runs.
    pub(super) segments: SavedSegments,
    pub(super) root: SpinLock<Option<Root>>,
    owner: Once<Weak<dyn Any + Send + Sync>>,
    /// It is making memory free, and must not wait for others who do (Linux: `PF_MEMALLOC`).
    making_room: AtomicBool,
    nice: AtomicI8,
    /// [`Kind`], and the priority of real time in the next byte.
    schedule: AtomicU16,
    /// CPUs it may run on: a bit for each.
    affinity: AtomicU64,
    /// The CPU it runs on, or ran on last, or waits for.
    pub(super) cpu: AtomicU32,
    /// When it last went on its CPU.
    pub(super) on_since: AtomicU64,
    pub(super) weight: AtomicU64,
    pub(super) virtual_time: AtomicU64,
    /// What it may run, if it has a deadline.
    pub(super) reservation: IrqLock<Reservation>,
    /// The deadline.
    pub(super) deadline: AtomicU64,
    /// The rank, as a word, that others lend who wait for it; [`NOTHING_LENT`].
    pub(super) lent: AtomicU64,
    /// Until when it must not enter user mode; 0: it may.
    pub(super) held: AtomicU64,
    pub(super) times: Times,
}

/// Bytes of a thread's name, the last one NUL (`TASK_COMM_LEN`).
pub(crate) const NAME_SIZE: usize = 16;

/// What a thread that runs a program has besides a stack.
pub(crate) struct ThreadParts {
    /// What its segment registers hold.
    pub(crate) segments: Segments,
    /// Its FPU state at the start.
    pub(crate) fpu: FpuState,
    /// Its address space.
    pub(crate) root: Root,
}

impl Thread {
    fn new(
        name: &[u8],
        stack: Option<KernelStack>,
        user: Option<ThreadParts>,
        body: Option<Body>,
    ) -> Result<Arc<Self>, OutOfMemory> {
        let _charge = kmem::charge(size_of::<Self>() + 2 * size_of::<usize>())?;
        cpu::reserve_place()?;
        let segments = SavedSegments::default();
        let (fpu, root) = match user {
            Some(parts) => {
                segments.store(parts.segments);
                (Some(SpinLock::new(parts.fpu)), Some(parts.root))
            }
            None => (None, None),
        };
        let stack_pointer = stack
            .as_ref()
            .map_or(0, |stack| switch::prepare(stack.top(), start));
        let thread = Arc::new(Self {
            name: SpinLock::new(name_bytes(name)),
            state: AtomicU8::new(RUNNING),
            notify: AtomicU32::new(0),
            link: Link::new(),
            timer: Once::new(),
            timed_out: AtomicBool::new(false),
            on_cpu: AtomicBool::new(false),
            stack_pointer: AtomicU64::new(stack_pointer),
            stack,
            body: SpinLock::new(body),
            fpu,
            segments,
            root: SpinLock::new(root),
            owner: Once::new(),
            making_room: AtomicBool::new(false),
            nice: AtomicI8::new(0),
            schedule: AtomicU16::new(0),
            affinity: AtomicU64::new(u64::MAX),
            cpu: AtomicU32::new(cpu::this_id()),
            on_since: AtomicU64::new(0),
            weight: AtomicU64::new(runqueue::NICE_0_WEIGHT),
            virtual_time: AtomicU64::new(0),
            reservation: IrqLock::new(Reservation::default()),
            deadline: AtomicU64::new(0),
            lent: AtomicU64::new(NOTHING_LENT),
            held: AtomicU64::new(0),
            times: Times::default(),
        });
        let timer = timer::register_thread(&thread)?;
        thread.timer.call_once(|| timer);
        Ok(thread)
    }

    /// The thread that the boot has been all along.
    pub(super) fn boot() -> Result<Arc<Self>, OutOfMemory> {
        let thread = Self::new(b"kiln", None, None, None)?;
        thread.on_cpu.store(true, Ordering::Relaxed);
        Ok(thread)
    }

    /// What CPU `id` runs when there is nothing else, on the stack it starts on.
    pub(super) fn idle(id: u32) -> Result<Arc<Self>, OutOfMemory> {
        let mut name = *b"idle/00";
        let digits = [id / 10 % 10, id % 10].map(|digit| b'0' + low8(digit.into()));
        let [.., tens, ones] = &mut name;
        [*tens, *ones] = digits;
        let thread = Self::new(&name, None, None, None)?;
        thread.affinity.store(1 << id, Ordering::Relaxed);
        thread.cpu.store(id, Ordering::Relaxed);
        Ok(thread)
    }

    /// Does `make`, during which this answers `None`: what makes memory free may need some itself,
    /// and goes on without waiting for it.
    pub(crate) fn making_room<T>(&self, make: impl FnOnce() -> T) -> Option<T> {
        if self.making_room.swap(true, Ordering::Relaxed) {
            return None;
        }
        let made = make();
        self.making_room.store(false, Ordering::Relaxed);
        Some(made)
    }

    /// Its name, NUL-padded.
    pub(crate) fn name(&self) -> [u8; NAME_SIZE] {
        *self.name.lock()
    }

    /// Its name, for reports: `None` while somebody holds it.
    pub(super) fn name_if_free(&self) -> Option<[u8; NAME_SIZE]> {
        self.name.try_lock().map(|name| *name)
    }

    /// Renames it; what doesn't fit is cut.
    pub(crate) fn set_name(&self, name: &[u8]) {
        *self.name.lock() = name_bytes(name);
    }

    /// Makes it runnable, whether it waits now or is about to.
    pub(crate) fn wake(self: &Arc<Self>) {
        if self.state.swap(NOTIFIED, Ordering::AcqRel) == PARKED {
            cpu::enqueue_woken(Arc::clone(self));
        }
    }

    /// Sets flags that end waits, and wakes it.
    pub(crate) fn notify(self: &Arc<Self>, flags: u32) {
        self.notify.fetch_or(flags, Ordering::AcqRel);
        self.wake();
        cpu::prod(self);
    }

    /// Makes it look before it goes on in user mode, if it runs; it comes back by an interrupt.
    pub(crate) fn prod(&self) {
        cpu::prod(self);
    }

    /// Sets flags that nobody waits for.
    pub(crate) fn note(&self, flags: u32) {
        self.notify.fetch_or(flags, Ordering::AcqRel);
    }

    /// Clears flags.
    pub(crate) fn clear_notice(&self, flags: u32) {
        self.notify.fetch_and(!flags, Ordering::AcqRel);
    }

    /// Clears a flag; whether it was set.
    pub(crate) fn take_notice(&self, flag: u32) -> bool {
        let noticed = self.is_notified(flag);
        if noticed {
            self.clear_notice(flag);
        }
        noticed
    }

    /// Whether there is anything to look at before user mode: any flag.
    #[inline]
    pub(crate) fn has_notice(&self) -> bool {
        self.notify.load(Ordering::Acquire) != 0
    }

    /// Makes it CPU `id`'s; whose it was.
    pub(super) fn move_to(&self, id: u32) -> u32 {
        let from = self.cpu.swap(id, Ordering::Relaxed);
        if from != id {
            self.note(NOTIFY_MOVED);
        }
        from
    }

    /// Whether any of the flags is set.
    pub(crate) fn is_notified(&self, flags: u32) -> bool {
        self.notify.load(Ordering::Acquire) & flags != 0
    }

    /// Says whose thread it is: the `process` room's task.
    pub(crate) fn set_owner(&self, owner: Weak<dyn Any + Send + Sync>) {
        self.owner.call_once(|| owner);
    }

    /// Whose thread it is.
    pub(crate) fn owner(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.owner.get()?.upgrade()
    }

    /// Changes the address space it runs in; at once when it is the running thread.
    pub(crate) fn set_root(self: &Arc<Self>, root: Option<Root>) {
        let old = core::mem::replace(&mut *self.root.lock(), root);
        cpu::root_changed(self);
        drop(old);
    }

    /// The state of the FPU, for the running thread: saved into memory first, whole. `change` may alter
    /// it; then it is loaded again when `change` says so.
    pub(crate) fn with_fpu<R>(&self, change: impl FnOnce(&mut FpuState) -> (R, bool)) -> Option<R> {
        let mut fpu = self.fpu.as_ref()?.lock();
        fpu.save_whole();
        let (result, changed) = change(&mut fpu);
        if changed {
            fpu.restore();
        }
        Some(result)
    }

    /// Whether it runs or could.
    pub(crate) fn is_runnable(&self) -> bool {
        self.state.load(Ordering::Relaxed) != PARKED
    }
}

impl WakeTarget for Thread {
    fn woken(self: Arc<Self>) {
        self.wake();
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.get() {
            timer::unregister(*timer);
        }
        cpu::release_place();
        if let Some(stack) = self.stack.take() {
            stacks::keep(stack);
        }
    }
}

fn name_bytes(name: &[u8]) -> [u8; NAME_SIZE] {
    let mut bytes = [0; NAME_SIZE];
    for (to, from) in bytes.iter_mut().zip(name).take(NAME_SIZE - 1) {
        *to = *from;
    }
    bytes
}

/// Makes a thread that doesn't run yet: [`Thread::wake`] starts it.
pub(crate) fn prepare(
    name: &[u8],
    user: Option<ThreadParts>,
    body: Body,
) -> Result<Arc<Thread>, OutOfMemory> {
    let thread = Thread::new(name, Some(stacks::take()?), user, Some(body))?;
    thread.state.store(PARKED, Ordering::Release);
    Ok(thread)
}

/// Makes a thread of the kernel and starts it. The caller charges the body.
pub(crate) fn spawn(name: &[u8], body: Body) -> Result<Arc<Thread>, OutOfMemory> {
    let thread = prepare(name, None, body)?;
    thread.wake();
    Ok(thread)
}

/// Where every thread starts, on its own stack, with interrupts off.
fn start() -> ! {
    cpu::finish_switch();
    x86_64::instructions::interrupts::enable();
    let body = cpu::current().body.lock().take();
    if let Some(body) = body {
        body();
    }
    exit_current()
}

/// Ends the running thread. Everything that its stack holds must have been dropped.
fn exit_current() -> ! {
    budget::release(&cpu::current());
    cpu::leave_for_ever()
}
