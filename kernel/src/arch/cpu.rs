//! The per-CPU block, which GS points to whenever the kernel runs.
//!
//! Its fields are atomics: the CPU they belong to writes them, others may look. The entry code
//! reaches them as `gs:[offset]`. IST handlers, which can't trust GS, find the block through the
//! last word of their stack ([`set_stack_owner`](super::tables::set_stack_owner)).

use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use kiln_core::num::usize_of32;
use x86_64::VirtAddr;
use x86_64::registers::model_specific::{GsBase, KernelGsBase};
use x86_64::structures::tss::TaskStateSegment;

use super::user::UserContext;

/// CPUs that can be made use of.
pub(crate) const MAX_CPUS: usize = 64;
/// The same, as CPUs are numbered.
pub(crate) const MAX_CPUS_U32: u32 = 64;

/// What one CPU knows of itself.
#[repr(C, align(64))]
pub(crate) struct PerCpu {
    /// The block's own address, so that `gs:[0]` gives it.
    this: AtomicU64,
    /// The program's stack pointer, while the syscall entry has no stack yet.
    pub(super) user_rsp: AtomicU64,
    /// The context of the thread that is in user mode.
    pub(super) user_context: AtomicPtr<UserContext>,
    /// Number of the CPU, from 0.
    id: AtomicU32,
    /// The thread should give up the CPU, or look at its flags, before it goes on in user mode.
    pub(super) need_resched: AtomicU8,
    /// Number of its local APIC.
    apic_id: AtomicU32,
    /// It takes interrupts, from others too.
    online: AtomicBool,
    /// Puts the TSS 4 bytes off, so that the stack pointers within (at 4, 12, …) are aligned to 8.
    _reserved: AtomicU32,
    /// Names the stacks for traps.
    pub(super) tss: TssCell,
    /// The descriptor table.
    pub(super) gdt: super::tables::GdtCell,
    /// The heap's objects that are at hand here, by class.
    shelves: [Shelf; SHELVES],
}

/// How many [`Shelf`] a CPU has.
pub(crate) const SHELVES: usize = 20;

/// A stack of free objects that `mm` keeps for a CPU, linked through their first words. Only the CPU itself
/// looks at it, and no interrupt handler does.
pub(crate) struct Shelf {
    /// The topmost, if any.
    pub(crate) first: AtomicPtr<u8>,
    /// How many there are.
    pub(crate) count: AtomicU32,
}

const _: () = assert!(
    core::mem::offset_of!(PerCpu, tss) % 8 == 4,
    "the TSS's stack pointers are aligned"
);

/// The TSS; written by its own CPU only, read by the hardware.
#[repr(transparent)]
pub(super) struct TssCell(pub(super) UnsafeCell<TaskStateSegment>);

// SAFETY: only the CPU that owns the block touches its TSS, with interrupts off (`tables`).
unsafe impl Sync for TssCell {}

/// Bits of [`PerCpu::need_resched`]: another thread may have its turn, or there is only something to be looked at.
const RESCHED: u8 = 1;
const LOOK: u8 = 2;
/// Both.
pub(super) const REASONS: u8 = RESCHED | LOOK;

impl PerCpu {
    pub(super) const fn new() -> Self {
        Self {
            this: AtomicU64::new(0),
            user_rsp: AtomicU64::new(0),
            user_context: AtomicPtr::new(core::ptr::null_mut()),
            id: AtomicU32::new(0),
            need_resched: AtomicU8::new(0),
            apic_id: AtomicU32::new(0),
            online: AtomicBool::new(false),
            _reserved: AtomicU32::new(0),
            tss: TssCell(UnsafeCell::new(TaskStateSegment::new())),
            gdt: super::tables::GdtCell::new(),
            shelves: [const {
                Shelf {
                    first: AtomicPtr::new(core::ptr::null_mut()),
                    count: AtomicU32::new(0),
                }
            }; SHELVES],
        }
    }

    /// Where free objects of a class are at hand.
    pub(crate) fn shelf(&self, class: usize) -> Option<&Shelf> {
        self.shelves.get(class)
    }

    /// Number of the CPU, from 0.
    pub(crate) fn id(&self) -> u32 {
        self.id.load(Ordering::Relaxed)
    }

    /// Asks the running thread to come out of user mode, or not to enter it: `user::run` returns
    /// [`Stop::Interrupt`](super::user::Stop) while this is set. Answers whether it was set already.
    /// For another CPU: [`kick`](super::ipi::kick).
    pub(crate) fn set_need_resched(&self) -> bool {
        self.need_resched.fetch_or(RESCHED, Ordering::SeqCst) != 0
    }

    /// The same for who only has to look at its notices: the run queue isn't looked at.
    pub(super) fn set_look(&self) -> bool {
        self.need_resched.fetch_or(LOOK, Ordering::SeqCst) != 0
    }

    /// Whether it was asked.
    pub(crate) fn need_resched(&self) -> bool {
        self.need_resched.load(Ordering::Relaxed) != 0
    }

    /// Whether it was asked to make way; from now on it is asked nothing.
    pub(crate) fn take_need_resched(&self) -> bool {
        self.need_resched() && self.need_resched.swap(0, Ordering::AcqRel) & RESCHED != 0
    }
}

impl PerCpu {
    /// The number of its local APIC.
    pub(crate) fn apic_id(&self) -> u32 {
        self.apic_id.load(Ordering::Relaxed)
    }

    pub(super) fn set_apic_id(&self, id: u32) {
        self.apic_id.store(id, Ordering::Relaxed);
    }

    /// Whether it takes interrupts.
    pub(crate) fn is_online(&self) -> bool {
        self.online.load(Ordering::Acquire)
    }

    /// From here on it takes interrupts.
    pub(super) fn go_online(&self) {
        self.online.store(true, Ordering::Release);
        ONLINE.fetch_or(1 << self.id(), Ordering::SeqCst);
    }

    /// Makes it the block of CPU `id`, which isn't up yet.
    pub(super) fn prepare(&'static self, id: u32) {
        let block = core::ptr::from_ref(self);
        self.this.store(block.addr() as u64, Ordering::Relaxed);
        self.id.store(id, Ordering::Relaxed);
        if let Some(slot) = BLOCKS.get(usize_of32(id)) {
            slot.store(block.cast_mut(), Ordering::Release);
        }
    }
}

static BOOT_CPU: PerCpu = PerCpu::new();
/// The blocks of all CPUs, by number.
static BLOCKS: [AtomicPtr<PerCpu>; MAX_CPUS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];
/// CPUs that take interrupts: a bit for each.
static ONLINE: AtomicU64 = AtomicU64::new(1);

/// The CPUs that take interrupts: a bit for each.
pub(crate) fn online() -> u64 {
    ONLINE.load(Ordering::SeqCst)
}

/// The block of CPU `id`, if there is such a CPU.
pub(crate) fn block(id: u32) -> Option<&'static PerCpu> {
    let block = BLOCKS.get(usize_of32(id))?.load(Ordering::Acquire);
    // SAFETY: null, or one that `prepare` put there, which lives for ever.
    unsafe { block.as_ref() }
}

/// Makes GS point to `block`, the running CPU's.
pub(super) fn own(block: &'static PerCpu) {
    GsBase::write(VirtAddr::from_ptr(block));
    KernelGsBase::write(VirtAddr::zero());
}

/// The block of the CPU this runs on. With more than one CPU, code that can be moved between them
/// must not keep it across a point where it may be.
#[inline]
pub(crate) fn this_cpu() -> &'static PerCpu {
    let this: *const PerCpu;
    // SAFETY: from `init_boot_cpu` on, GS points to a block that lives for ever whenever Rust code
    // runs in the kernel, and its first word is its address. (IST entries set GS before calling.)
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) this, options(nostack, preserves_flags, readonly));
        &*this
    }
}

/// Makes GS point to the boot CPU's block. The very first thing the kernel does.
pub(crate) fn init_boot_cpu() -> &'static PerCpu {
    BOOT_CPU.prepare(0);
    BOOT_CPU.online.store(true, Ordering::Relaxed);
    own(&BOOT_CPU);
    &BOOT_CPU
}

/// An instruction of the running function and its stack pointer there, where a backtrace begins.
#[inline(always)]
pub(crate) fn here() -> (u64, u64) {
    let (rip, rsp): (u64, u64);
    // SAFETY: reads registers.
    unsafe {
        asm!("lea {}, [rip]", "mov {}, rsp", out(reg) rip, out(reg) rsp, options(nomem, nostack, preserves_flags));
    };
    (rip, rsp)
}
