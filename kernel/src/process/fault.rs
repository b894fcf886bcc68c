//! Exceptions of a program: page faults are served, the rest become signals
//! (Intel SDM volume 3, chapter 6; signal(7)).

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::{TASK_SIZE, UserAddr};
use kiln_core::signal::{SigInfo, Signal, frame};

use super::signal::force;
use super::task::Task;
use crate::arch::user::{Fault, UserContext};
use crate::vm::{Access, AddressSpace, FaultError};

/// Page-fault error code: the page was there, but not for this.
const PROTECTION: u64 = 1 << 0;
/// Page-fault error code: the access was a write.
const WRITE: u64 = 1 << 1;
/// Page-fault error code: the access was an instruction fetch.
const FETCH: u64 = 1 << 4;
/// DR6: a single step.
const SINGLE_STEP: u64 = 1 << 14;
/// The vector of page faults.
const PAGE_FAULT: u8 = 14;
/// The vector of debug exceptions.
const DEBUG: u8 = 1;

/// Serves an exception that the program raised: fills a page, or sends the task a signal.
pub(crate) fn on_fault(task: &Arc<Task>, regs: &UserContext, fault: Fault) {
    if fault.vector == PAGE_FAULT {
        match task.space() {
            Ok(space) => on_page_fault(task, &space, fault),
            Err(_) => force(task, SigInfo::kernel(Signal::KILL)),
        }
        return;
    }
    if fault.vector == DEBUG {
        task.note_debug(fault.addr);
    }
    tell(task, fault, other(task, regs, fault));
}

/// Serves a page fault in the task's space.
#[inline(always)]
pub(crate) fn on_page_fault(task: &Arc<Task>, space: &Arc<AddressSpace>, fault: Fault) {
    let absent = fault.error_code & PROTECTION == 0;
    if let Err(error) = space.page_fault(UserAddr::new(fault.addr), access(fault), absent) {
        refuse(task, fault, error);
    }
}

#[cold]
fn refuse(task: &Arc<Task>, fault: Fault, error: FaultError) {
    let addr = UserAddr::new(fault.addr);
    let info = match error {
        FaultError::Maperr => SigInfo::fault(Signal::SEGV, abi::SEGV_MAPERR, addr),
        FaultError::Accerr => SigInfo::fault(Signal::SEGV, abi::SEGV_ACCERR, addr),
        FaultError::BusAdrerr => SigInfo::fault(Signal::BUS, abi::BUS_ADRERR, addr),
        FaultError::Oom => SigInfo::kernel(Signal::KILL),
    };
    tell(task, fault, info);
}

/// Sends the signal, with what its frame tells of the exception.
fn tell(task: &Arc<Task>, fault: Fault, info: SigInfo) {
    let mut code = fault.error_code;
    if fault.vector == PAGE_FAULT && fault.addr >= TASK_SIZE {
        // Whether anything is mapped there is the kernel's secret.
        code |= PROTECTION;
    }
    {
        let last = &mut task.signals.lock().last_fault;
        // The address stays the last page fault's.
        if fault.vector == PAGE_FAULT {
            last[2] = fault.addr;
        }
        (last[0], last[1]) = (code, fault.vector.into());
    }
    force(task, info);
}

/// What the program tried to do.
fn access(fault: Fault) -> Access {
    if fault.error_code & FETCH != 0 {
        Access::Exec
    } else if fault.error_code & WRITE != 0 {
        Access::Write
    } else {
        Access::Read
    }
}

fn other(task: &Arc<Task>, regs: &UserContext, fault: Fault) -> SigInfo {
    let at = UserAddr::new(regs.rip);
    match fault.vector {
        0 => SigInfo::fault(Signal::FPE, abi::FPE_INTDIV, at),
        DEBUG if fault.addr & SINGLE_STEP != 0 => SigInfo::fault(Signal::TRAP, abi::TRAP_TRACE, at),
        DEBUG => SigInfo::fault(Signal::TRAP, abi::TRAP_HWBKPT, at),
        3 => SigInfo::kernel(Signal::TRAP),
        6 => SigInfo::fault(Signal::ILL, abi::ILL_ILLOPN, at),
        11 | 12 => SigInfo::kernel(Signal::BUS),
        16 | 19 => SigInfo::fault(Signal::FPE, fpe_code(task, fault.vector), at),
        17 => SigInfo::fault(Signal::BUS, abi::BUS_ADRALN, UserAddr::NULL),
        _ => SigInfo::kernel(Signal::SEGV),
    }
}

/// Which floating-point exception it was: the unmasked ones in x87's status (vector 16) or in
/// MXCSR (vector 19).
fn fpe_code(task: &Arc<Task>, vector: u8) -> u32 {
    let bits = task.thread().and_then(|thread| {
        thread.with_fpu(|state| (frame::fpu_exceptions(state.bytes(), vector == 19), false))
    });
    let bits = bits.unwrap_or(0);
    if bits & 1 != 0 {
        abi::FPE_FLTINV
    } else if bits & 4 != 0 {
        abi::FPE_FLTDIV
    } else if bits & 8 != 0 {
        abi::FPE_FLTOVF
    } else if bits & (2 | 16) != 0 {
        abi::FPE_FLTUND
    } else if bits & 32 != 0 {
        abi::FPE_FLTRES
    } else {
        abi::FPE_FLTUNK
    }
}
