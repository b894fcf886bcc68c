//! User mode as a function: [`run`] enters it and returns why it stopped.

use core::arch::asm;
use core::ffi::c_void;
use core::mem::offset_of;

use x86_64::VirtAddr;
use x86_64::registers::debug::Dr6;
use x86_64::registers::model_specific::{LStar, Msr, SFMask, Star};
use x86_64::registers::rflags::RFlags;

use super::tables::{self, vector};
use super::{entry, irq, trap};

/// The registers of a program, as it left them or as it shall find them.
///
/// Those that a system call saves come first, in the order in which `entry.S` pushes them (`entry`).
#[derive(Clone, Debug, Default)]
#[repr(C)]
#[allow(missing_docs)]
pub(crate) struct UserContext {
    /// Selector of code, with SS in one word.
    pub(crate) cs: u16,
    /// Selector of the stack.
    pub(crate) ss: u16,
    _reserved: u32,
    pub(crate) r9: u64,
    pub(crate) r8: u64,
    pub(crate) r10: u64,
    pub(crate) rdx: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    /// Bits that a program can't have are masked on the way out ([`ENTERABLE_FLAGS`]).
    pub(crate) rflags: u64,
    pub(crate) rip: u64,
    /// RAX at the entry of the syscall being handled; -1 when the program wasn't in one.
    pub(crate) orig_rax: u64,
    pub(crate) rax: u64,
    pub(crate) rsp: u64,
    pub(crate) rbx: u64,
    pub(crate) rcx: u64,
    pub(crate) rbp: u64,
    pub(crate) r11: u64,
    pub(crate) r12: u64,
    pub(crate) r13: u64,
    pub(crate) r14: u64,
    pub(crate) r15: u64,
    pub(super) vector: u64,
    pub(super) error: u64,
    pub(super) fault_address: u64,
}

const _: () = assert!(
    offset_of!(UserContext, ss) == offset_of!(UserContext, cs) + 2,
    "`entry.S` writes both at once"
);

impl UserContext {
    /// A program's start: at `rip` with its stack at `rsp`, everything else zero.
    pub(crate) fn new(rip: u64, rsp: u64) -> Self {
        Self {
            rip,
            rsp,
            rflags: 0x202,
            orig_rax: u64::MAX,
            cs: tables::USER_CODE,
            ss: tables::USER_DATA,
            ..Self::default()
        }
    }
}

/// The flags that a program may have when it is entered: the arithmetic ones, TF, DF, NT, RF, AC
/// and ID. IF is added.
pub(crate) const ENTERABLE_FLAGS: u32 = 0x24_5DD5 | 0x1_0000;

/// What runs in user mode: its registers, and who serves its calls.
pub(crate) trait Program {
    /// The registers, always the same ones.
    fn context(&mut self) -> &mut UserContext;

    /// A SYSCALL came: number in `orig_rax`, arguments in RDI, RSI, RDX, R10, R8, R9. RBX, RCX, RBP and R11 to R15
    /// aren't in the context yet: they are when [`run`] returns.
    fn syscall(&mut self) -> AfterCall;

    /// It touched a page that it couldn't.
    fn page_fault(&mut self, fault: Fault) -> AfterFault;
}

/// Registers alone serve nothing.
impl Program for UserContext {
    fn context(&mut self) -> &mut UserContext {
        self
    }

    fn syscall(&mut self) -> AfterCall {
        AfterCall::Unserved
    }

    fn page_fault(&mut self, _: Fault) -> AfterFault {
        AfterFault::Unserved
    }
}

/// How a program goes on after a SYSCALL.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum AfterCall {
    /// At once: its answer is in RAX, and no other register was changed.
    Resume = 0,
    /// [`run`] returns [`Stop::Syscall`].
    Unserved = 12,
    /// [`run`] returns [`Stop::Served`].
    Stop = 16,
    /// The same, and the context holds other registers than the program had: they all stay as they are.
    Replaced = 20,
}

const _: () = {
    let codes = [
        entry::TRAP,
        entry::RESCHEDULE,
        AfterCall::Unserved as u32,
        AfterCall::Stop as u32,
        AfterCall::Replaced as u32,
    ];
    let (mut last, mut index) = (0, 0);
    while index < codes.len() {
        #[expect(clippy::indexing_slicing, reason = "at build time")]
        let code = codes[index];
        assert!(
            code > last && code & entry::ANSWERS == code,
            "`run_user` returns all of these"
        );
        (last, index) = (code, index + 1);
    }
};

/// How a program goes on after a page fault.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum AfterFault {
    /// At once.
    Resume = 0,
    /// [`run`] returns [`Stop::Fault`].
    Unserved = entry::TRAP,
    /// [`run`] returns [`Stop::Interrupt`].
    Stop = entry::RESCHEDULE,
}

/// Why user mode stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// A SYSCALL that nobody served.
    Syscall,
    /// A SYSCALL that was served, with something left to do before the program goes on.
    Served,
    /// An exception.
    Fault(Fault),
    /// An interrupt, which has been handled, or [`need_resched`](super::cpu::PerCpu) was set.
    Interrupt,
}

/// An exception in user mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// Its vector ([`vector`](super::tables::vector)).
    pub(crate) vector: u8,
    /// Its error code, 0 where it has none. For a page fault: bit 1 write, bit 2 user, bit 4 fetch.
    pub(crate) error_code: u64,
    /// The address of a page fault; DR6 for a debug exception; 0 otherwise.
    pub(crate) addr: u64,
}

/// `IA32_CSTAR`.
const CSTAR: u32 = 0xC000_0083;

/// Sets the MSRs of SYSCALL and SYSRET (Intel SDM volume 3, 5.8.8).
pub(super) fn init() {
    // STAR: SYSCALL loads CS from [47:32] and SS from that + 8; SYSRET loads CS from [63:48] + 16
    // and SS from [63:48] + 8, and AMD CPUs don't set the RPL by themselves.
    // SAFETY: these are the selectors of `tables`, and the entry is `entry.S`'s.
    unsafe { Star::write_raw(tables::USER_CODE_32, tables::KERNEL_CODE) };
    LStar::write(VirtAddr::new_truncate(
        entry::syscall_entry as *const () as u64,
    ));
    // From compatibility mode it is an AMD CPU's, or an emulator's, to come here: the answer is ENOSYS.
    // SAFETY: that entry touches no memory.
    unsafe { Msr::new(CSTAR).write(entry::syscall_entry_32 as *const () as u64) };
    SFMask::write(
        RFlags::INTERRUPT_FLAG
            | RFlags::DIRECTION_FLAG
            | RFlags::ALIGNMENT_CHECK
            | RFlags::TRAP_FLAG
            | RFlags::NESTED_TASK
            | RFlags::IOPL_LOW
            | RFlags::IOPL_HIGH
            | RFlags::RESUME_FLAG,
    );
}

/// Enters user mode with the program's registers in the current address space, serves its calls, and
/// returns when something else stops it, with interrupts on. The registers are the program's then.
///
/// Call it with the FPU state, the bases and the address space of the thread loaded.
#[inline]
pub(crate) fn run<P: Program>(program: &mut P) -> Stop {
    let context: *mut UserContext = program.context();
    // SAFETY: `program`, and its registers with it, stays borrowed while `entry.S` writes them and while
    // `serve` and `resolve` get it back, one at a time, and is this thread's alone. The registers' values reach
    // registers of ring 3 only; those that ring 0 would choke on are caught through the exception table.
    let code = unsafe {
        entry::run_user(
            context,
            serve::<P>,
            (&raw mut *program).cast(),
            resolve::<P>,
        )
    };
    const UNSERVED: u32 = AfterCall::Unserved as u32;
    const STOP: u32 = AfterCall::Stop as u32;
    const REPLACED: u32 = AfterCall::Replaced as u32;
    match code {
        STOP | REPLACED => Stop::Served,
        UNSERVED => Stop::Syscall,
        code => interrupted(program.context(), code),
    }
}

/// What `entry.S` calls for a SYSCALL.
///
/// # Safety
/// `program` points to a `P` that nothing else uses until this returns.
unsafe extern "C" fn serve<P: Program>(program: *mut c_void) -> u32 {
    // SAFETY: `run` gave it to `run_user`, and waits.
    let program = unsafe { &mut *program.cast::<P>() };
    program.syscall() as u32
}

/// What `entry.S` calls for a page fault.
///
/// # Safety
/// As for [`serve`].
unsafe extern "C" fn resolve<P: Program>(program: *mut c_void) -> u32 {
    // SAFETY: as in `serve`.
    let program = unsafe { &mut *program.cast::<P>() };
    let context = program.context();
    if context.error & USER == 0 {
        return entry::TRAP;
    }
    let fault = Fault {
        vector: vector::PF,
        error_code: context.error,
        addr: context.fault_address,
    };
    x86_64::instructions::interrupts::enable();
    program.page_fault(fault) as u32
}

#[inline(never)]
fn interrupted(context: &UserContext, code: u32) -> Stop {
    let stop = if code == entry::TRAP {
        trapped(context)
    } else {
        Stop::Interrupt
    };
    x86_64::instructions::interrupts::enable();
    stop
}

/// Bit of a page fault's error code: the access was a program's own. In user mode without it: the CPU
/// accessed memory on its own account, a descriptor table say. (TCG's far returns read the program's
/// stack that way, which SMAP forbids.) There is nothing to resolve; Linux ends the program too.
const USER: u64 = 1 << 2;

fn trapped(context: &UserContext) -> Stop {
    let vector = kiln_core::num::low8(context.vector);
    let addr = match vector {
        vector::FIRST_INTERRUPT.. => {
            irq::dispatch(vector);
            return Stop::Interrupt;
        }
        // These are about the machine, not about the program.
        vector::NMI | vector::DF | vector::MC => trap::fatal(&trap::Fatal {
            vector,
            error: context.error,
            rip: context.rip,
            rsp: context.rsp,
            cr2: context.fault_address,
            user: true,
        }),
        vector::PF if context.error & USER == 0 => {
            return Stop::Fault(Fault {
                vector: vector::GP,
                error_code: 0,
                addr: 0,
            });
        }
        vector::PF => context.fault_address,
        vector::DB => take_dr6(),
        _ => 0,
    };
    Stop::Fault(Fault {
        vector,
        error_code: context.error,
        addr,
    })
}

/// DR6 says why a debug exception came; the CPU never clears it.
fn take_dr6() -> u64 {
    let flags = Dr6::read_raw();
    // SAFETY: DR6 only reports; its reset value is all bits that read as one (SDM volume 3, 17.2.3).
    unsafe {
        asm!("mov dr6, {}", in(reg) 0xFFFF_0FF0_u64, options(nomem, nostack, preserves_flags))
    };
    flags
}
