//! Making processes and threads: fork(2), vfork(2), clone(2), clone3(2).

use kiln_core::abi;
use kiln_core::addr::{TASK_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::num::low32;

use super::{Call, SysResult};
use crate::process::clone::{self, CloneArgs};

/// The signal's bits in clone's flags (`CSIGNAL`, linux/sched.h).
const SIGNAL_BITS: u64 = 0xff;

pub(super) fn fork(call: &mut Call<'_>) -> SysResult {
    make(
        call,
        CloneArgs {
            exit_signal: abi::SIGCHLD,
            ..CloneArgs::default()
        },
    )
}

pub(super) fn vfork(call: &mut Call<'_>) -> SysResult {
    let args = CloneArgs {
        flags: u64::from(abi::CLONE_VFORK | abi::CLONE_VM),
        exit_signal: abi::SIGCHLD,
        ..CloneArgs::default()
    };
    make(call, args)
}

pub(super) fn clone(
    call: &mut Call<'_>,
    flags: u64,
    stack: u64,
    parent_tid: UserAddr,
    child_tid: UserAddr,
    tls: u64,
) -> SysResult {
    let detached = u64::from(abi::CLONE_PIDFD | abi::CLONE_DETACHED);
    if flags & detached == detached {
        return Err(Errno::EINVAL);
    }
    let args = CloneArgs {
        // The upper half doesn't count, and CLONE_DETACHED has meant nothing for long.
        flags: u64::from(low32(flags & !SIGNAL_BITS) & !abi::CLONE_DETACHED),
        exit_signal: low32(flags & SIGNAL_BITS),
        stack,
        tls,
        parent_tid,
        child_tid,
        // One place serves both; asking for both is EINVAL.
        pidfd: parent_tid,
        set_tid: 0,
        cgroup: -1,
    };
    make(call, args)
}

fn make(call: &mut Call<'_>, args: CloneArgs) -> SysResult {
    call.with_all_registers()?;
    clone::clone(call.task, call.regs, &args, super::main_loop).map(u64::from)
}

/// `struct clone_args` in 64-bit words (linux/sched.h).
const CLONE_WORDS: usize = 11;

pub(super) fn clone3(call: &mut Call<'_>, at: UserAddr, size: usize) -> SysResult {
    let known = CLONE_WORDS * 8;
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    if size < abi::CLONE_ARGS_SIZE_VER0 as usize {
        return Err(Errno::EINVAL);
    }
    let words: [u64; CLONE_WORDS] = call.space.read_sized(at, size)?;
    let set_tid = wanted_number(call, words[8], words[9])?;
    let into_cgroup = words[0] & abi::CLONE_INTO_CGROUP != 0;
    if into_cgroup && (size < known || i32::try_from(words[10]).is_err()) {
        return Err(Errno::EINVAL);
    }
    make(call, clone3_args(&words, set_tid)?)
}

/// Most process-number namespaces within each other (`MAX_PID_NS_LEVEL`); there is one here.
const MAX_NAMESPACES: u64 = 32;

/// The number that the child shall have, from `set_tid` and its size; 0: any.
fn wanted_number(call: &Call<'_>, at: u64, count: u64) -> Result<u32, Errno> {
    if count > MAX_NAMESPACES || (at == 0) != (count == 0) {
        return Err(Errno::EINVAL);
    }
    if count == 0 {
        return Ok(0);
    }
    let number: i32 = call.space.read_val(UserAddr::new(at))?;
    if count > 1 {
        return Err(Errno::EINVAL);
    }
    let number = u32::try_from(number).map_err(|_| Errno::EINVAL)?;
    if number == 0 {
        return Err(Errno::EINVAL);
    }
    let creds = call.creds;
    if !creds.has(abi::CAP_CHECKPOINT_RESTORE) && !creds.has(abi::CAP_SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    Ok(number)
}

fn clone3_args(words: &[u64; CLONE_WORDS], set_tid: u32) -> Result<CloneArgs, Errno> {
    let [
        flags,
        pidfd,
        child_tid,
        parent_tid,
        signal,
        stack,
        stack_size,
        tls,
        _,
        _,
        cgroup,
    ] = *words;
    let known = (1 << 34) - 1;
    let wrong_flags = flags & (SIGNAL_BITS | u64::from(abi::CLONE_DETACHED)) != 0;
    if wrong_flags || flags & !known != 0 || signal > u64::from(abi::NSIG) {
        return Err(Errno::EINVAL);
    }
    let own_signal = flags & u64::from(abi::CLONE_THREAD | abi::CLONE_PARENT) != 0 && signal != 0;
    let end = stack.checked_add(stack_size);
    let fits = end.is_some_and(|end| end <= TASK_SIZE);
    if own_signal || (stack == 0) != (stack_size == 0) || !fits {
        return Err(Errno::EINVAL);
    }
    Ok(CloneArgs {
        flags,
        exit_signal: low32(signal),
        stack: stack.wrapping_add(stack_size),
        tls,
        parent_tid: UserAddr::new(parent_tid),
        child_tid: UserAddr::new(child_tid),
        pidfd: UserAddr::new(pidfd),
        set_tid,
        cgroup: i32::try_from(cgroup).unwrap_or(-1),
    })
}
