//! Starting the other CPUs: INIT and STARTUP to all of them at once (Intel SDM volume 3, 8.4), and
//! what each sets up for itself before it enters the scheduler.
//!
//! Each has its per-CPU block with GDT and TSS, stacks for its exceptions, and one to go on with;
//! all made by the boot CPU beforehand ([`prepare`]), because a CPU on its way up can do nothing. The
//! boot CPU doesn't wait for them: they come up while the job is got ready.

use alloc::boxed::Box;
use core::arch::global_asm;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use kiln_core::num::{low8, low32, usize_of32};

use super::cpu::{self, MAX_CPUS, PerCpu};
use super::{StackTop, apic, features, fpu, tables, time, user};

/// Where the trampoline is copied to, in physical memory.
pub(crate) const START_PAGE: u64 = 0x8000;

global_asm!(
    include_str!("smp.S"),
    vma = const pvh::KERNEL_VMA,
    page = const START_PAGE,
    root = sym ROOT,
    next = sym NEXT,
    count = sym COUNT,
    stacks = sym STACKS,
    main = sym enter,
);

unsafe extern "C" {
    static ap_trampoline: [u8; 0];
    static ap_trampoline_end: [u8; 0];
}

/// The kernel's page tables.
static ROOT: AtomicU64 = AtomicU64::new(0);
/// The number of the next CPU that comes up.
static NEXT: AtomicU32 = AtomicU32::new(1);
/// CPUs there are stacks for, the boot CPU included.
static COUNT: AtomicU32 = AtomicU32::new(1);
/// Their stacks, by number.
static STACKS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static MAIN: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
/// The TSC when they were told to start.
static STARTED_AT: AtomicU64 = AtomicU64::new(0);

/// The memory at [`START_PAGE`], as the kernel sees it.
pub(crate) struct StartPage(NonNull<u8>);

impl StartPage {
    /// # Safety
    /// A page that is mapped there and that nobody uses.
    pub(crate) unsafe fn new(page: NonNull<u8>) -> Self {
        Self(page)
    }
}

/// Makes the next CPU's block, with `own` as the stacks of its exceptions; it will go on on `stack`.
/// Numbers rise from 1.
pub(crate) fn prepare(own: [StackTop; tables::IST_VECTORS.len()], stack: StackTop) {
    let id = COUNT.load(Ordering::Relaxed);
    let Some(slot) = STACKS.get(usize_of32(id)) else {
        return;
    };
    let block: &'static PerCpu = Box::leak(Box::new(PerCpu::new()));
    block.prepare(id);
    super::own_stacks(block, own);
    slot.store(stack.0, Ordering::Relaxed);
    COUNT.store(id + 1, Ordering::Release);
}

/// How many CPUs there are, those on their way up included.
pub(crate) fn count() -> u32 {
    COUNT.load(Ordering::Relaxed)
}

/// The CPUs there are: a bit for each.
pub(crate) fn mask() -> u64 {
    u64::MAX >> (u64::BITS - count().clamp(1, u64::BITS))
}

/// Starts all CPUs that were prepared: each calls `main` in the end. `root` is the kernel's page
/// tables, below 4 GiB.
pub(crate) fn start(page: &StartPage, root: u64, main: fn() -> !) {
    let start = &raw const ap_trampoline;
    let len = (&raw const ap_trampoline_end).addr() - start.addr();
    // SAFETY: the page is nobody's, and the trampoline is far shorter than a page.
    unsafe { page.0.as_ptr().copy_from_nonoverlapping(start.cast(), len) };
    ROOT.store(root, Ordering::Relaxed);
    MAIN.store(main as *mut (), Ordering::Relaxed);
    cpu::this_cpu().set_apic_id(apic::id());
    STARTED_AT.store(time::cycles(), Ordering::SeqCst);
    // A hypervisor needs no pauses between them, and loses none.
    apic::send_init_to_others();
    apic::send_startup_to_others(low8(START_PAGE >> 12));
}

/// Where each of them comes out of the trampoline: on its stack, interrupts off.
extern "sysv64" fn enter(id: u32) -> ! {
    let Some(block) = cpu::block(id) else {
        super::exit::halt_forever()
    };
    cpu::own(block);
    features::enable();
    // From here on copies may go through its registers.
    fpu::enable();
    tables::load_gdt(block);
    tables::use_idt();
    user::init();
    time::catch_up(STARTED_AT.load(Ordering::SeqCst));
    apic::enable_here();
    block.set_apic_id(apic::id());
    block.go_online();
    let main = MAIN.load(Ordering::Relaxed);
    if main.is_null() {
        super::exit::halt_forever();
    }
    // SAFETY: only `start` stores here, and it stores such functions.
    let main = unsafe { core::mem::transmute::<*mut (), fn() -> !>(main) };
    main()
}

/// Whether CPUID says that there may be more than one CPU (HTT, leaf 1 EDX bit 28).
pub(crate) fn may_have_others() -> bool {
    let [basic, _] = features::capabilities();
    low32(basic) >> 28 & 1 != 0
}
