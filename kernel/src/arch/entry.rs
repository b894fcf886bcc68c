//! Every way into the kernel after boot, and the way out to user mode: `entry.S`.
//!
//! | label | entered by | leaves by |
//! | --- | --- | --- |
//! | `trap_stubs` | exceptions and interrupts, 16 bytes a vector | one of the next two |
//! | `from_user` | traps that interrupted user mode | returning from `run_user` with [`TRAP`] |
//! | `from_kernel` | traps that interrupted the kernel | `trap::from_kernel`, then IRETQ |
//! | `syscall_entry` | SYSCALL | calling what `run_user` was given, then SYSRET or returning from `run_user` |
//! | `syscall_entry_32` | SYSCALL in compatibility mode | SYSRET at once |
//! | `run_user` | a call with a `UserContext` | SYSRET or IRETQ |

use core::arch::global_asm;
use core::ffi::c_void;
use core::mem::offset_of;

use super::cpu::PerCpu;
use super::tables;
use super::user::{AfterCall, ENTERABLE_FLAGS, UserContext};

global_asm!(
    include_str!("entry.S"),
    this_user_rsp = const offset_of!(PerCpu, user_rsp),
    this_context = const offset_of!(PerCpu, user_context),
    this_need_resched = const offset_of!(PerCpu, need_resched),
    this_rsp0 = const tables::RSP0_OFFSET,
    user_selectors = const (tables::USER_DATA as u32) << 16 | tables::USER_CODE as u32,
    kernel_data = const tables::KERNEL_DATA,
    flags_mask = const ENTERABLE_FLAGS,
    rax = const offset(offset_of!(UserContext, rax)),
    rbx = const offset(offset_of!(UserContext, rbx)),
    rcx = const offset(offset_of!(UserContext, rcx)),
    rdx = const offset(offset_of!(UserContext, rdx)),
    rsi = const offset(offset_of!(UserContext, rsi)),
    rdi = const offset(offset_of!(UserContext, rdi)),
    rbp = const offset(offset_of!(UserContext, rbp)),
    rsp = const offset(offset_of!(UserContext, rsp)),
    r8 = const offset(offset_of!(UserContext, r8)),
    r9 = const offset(offset_of!(UserContext, r9)),
    r10 = const offset(offset_of!(UserContext, r10)),
    r11 = const offset(offset_of!(UserContext, r11)),
    r12 = const offset(offset_of!(UserContext, r12)),
    r13 = const offset(offset_of!(UserContext, r13)),
    r14 = const offset(offset_of!(UserContext, r14)),
    r15 = const offset(offset_of!(UserContext, r15)),
    rip = const offset(offset_of!(UserContext, rip)),
    rflags = const offset(offset_of!(UserContext, rflags)),
    orig_rax = const offset(offset_of!(UserContext, orig_rax)),
    vector = const offset(offset_of!(UserContext, vector)),
    error = const offset(offset_of!(UserContext, error)),
    fault_address = const offset(offset_of!(UserContext, fault_address)),
    cs = const offset(offset_of!(UserContext, cs)),
    ss = const offset(offset_of!(UserContext, ss)),
    pushed = const PUSHED,
    has_fsgsbase = sym super::features::FSGSBASE_BYTE,
    handler = sym super::trap::from_kernel,
    trap = const TRAP,
    reschedule = const RESCHEDULE,
    answers = const ANSWERS,
    replaced = const AfterCall::Replaced as u32,
);

/// Bytes that a system call pushes: all of a context's fields up to RSP.
const PUSHED: usize = offset_of!(UserContext, rsp) + 8;

/// Where a field is for `entry.S`.
#[expect(clippy::cast_possible_wrap, reason = "of a small structure")]
const fn offset(of_field: usize) -> isize {
    of_field as isize - PUSHED as isize
}

const _: () = {
    let pushes = [
        offset_of!(UserContext, rsp),
        offset_of!(UserContext, rax),
        offset_of!(UserContext, orig_rax),
        offset_of!(UserContext, rip),
        offset_of!(UserContext, rflags),
        offset_of!(UserContext, rdi),
        offset_of!(UserContext, rsi),
        offset_of!(UserContext, rdx),
        offset_of!(UserContext, r10),
        offset_of!(UserContext, r8),
        offset_of!(UserContext, r9),
        offset_of!(UserContext, cs),
    ];
    let (mut index, mut place) = (0, PUSHED);
    while index < pushes.len() {
        place -= 8;
        #[expect(clippy::indexing_slicing, reason = "at build time")]
        let field = pushes[index];
        assert!(field == place, "`syscall_entry` pushes in this order");
        index += 1;
    }
    assert!(place == 0, "it pushes the first fields");
};

unsafe extern "C" {
    static trap_stubs: [u8; 0];
    static trap_stubs_end: [u8; 0];
    /// See `entry.S`.
    pub(super) fn syscall_entry();
    /// See `entry.S`.
    pub(super) fn syscall_entry_32();
    /// Runs `context` in user mode until something stops it, and returns what: [`TRAP`], with interrupts
    /// off unless it is a page fault, [`RESCHEDULE`], or what `serve` answered, with interrupts on.
    ///
    /// A SYSCALL calls `serve` with `program`, interrupts on. RBX, RBP, RCX and R11 to R15 aren't in `context` then,
    /// but come there when `run_user` returns, unless that is with [`AfterCall::Replaced`]. When `serve` answers 0 and
    /// has changed nothing of `context` but `rax`, the program goes on at once. So it does after a page fault for which
    /// `fault`, called with interrupts off, answers 0.
    pub(super) fn run_user(
        context: *mut UserContext,
        serve: Service,
        program: *mut c_void,
        fault: Service,
    ) -> u32;
}

/// What `run_user` calls for the program. It answers 0 or what `run_user` returns.
pub(super) type Service = unsafe extern "C" fn(program: *mut c_void) -> u32;

/// What `run_user` returns for the trap in `context.vector`.
pub(super) const TRAP: u32 = 4;
/// What it returns when the CPU's `need_resched` kept it from user mode.
pub(super) const RESCHEDULE: u32 = 8;
/// The bits of these and of what a [`Service`] answers. `entry.S` looks at them and at `need_resched` in one.
pub(super) const ANSWERS: u32 = 0xFF & !(super::cpu::REASONS as u32);

/// Where the IDT sends `vector`.
pub(super) fn stub_address(vector: u8) -> u64 {
    (&raw const trap_stubs).addr() as u64 + u64::from(vector) * 16
}

/// Whether `rip` is the first instruction of a way into the kernel. A debug exception that MOV SS
/// held back arrives there when the instruction after it was SYSCALL or INT.
pub(super) fn is_first_instruction(rip: u64) -> bool {
    let stubs = (&raw const trap_stubs).addr() as u64..(&raw const trap_stubs_end).addr() as u64;
    let calls = [
        syscall_entry as *const () as u64,
        syscall_entry_32 as *const () as u64,
    ];
    calls.contains(&rip) || (stubs.contains(&rip) && rip.is_multiple_of(16))
}
