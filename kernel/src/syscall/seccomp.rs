//! seccomp(2), and prctl(2)'s older way to it.

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::bpf::Program;
use kiln_core::errno::Errno;

use super::{Call, SysResult, bpf};
use crate::process::seccomp::{self, action, mode};

/// What to do (linux/seccomp.h).
mod operation {
    pub(super) const STRICT: u32 = 0;
    pub(super) const FILTER: u32 = 1;
    pub(super) const ACTION_AVAILABLE: u32 = 2;
    pub(super) const NOTIFICATION_SIZES: u32 = 3;
}

/// `struct seccomp_notif_sizes`: bytes of `seccomp_notif`, `seccomp_notif_resp`, `seccomp_data`.
const NOTIFICATION_SIZES: [u16; 3] = [80, 24, 64];

/// Flags of a filter: for all threads; and then ESRCH where one can't follow (linux/seccomp.h).
const TSYNC: u32 = 1;
const TSYNC_ESRCH: u32 = 16;
/// Those that change nothing here: what is logged, and how the processor guesses.
const WITHOUT_EFFECT: u32 = 2 | 4;

pub(super) fn seccomp(call: &mut Call<'_>, what: u32, flags: u32, args: UserAddr) -> SysResult {
    match what {
        operation::STRICT if flags == 0 && args.is_null() => {
            seccomp::set_strict(call.task)?;
            Ok(0)
        }
        operation::FILTER => add_filter(call, flags, args),
        operation::ACTION_AVAILABLE if flags == 0 => match call.space.read_val::<u32>(args)? {
            action::KILL_PROCESS
            | action::KILL_THREAD
            | action::TRAP
            | action::ERRNO
            | action::TRACE
            | action::LOG
            | action::ALLOW => Ok(0),
            _ => Err(Errno::EOPNOTSUPP),
        },
        operation::NOTIFICATION_SIZES if flags == 0 => {
            let [[a, b], [c, d], [e, f]] = NOTIFICATION_SIZES.map(u16::to_le_bytes);
            call.space.copy_out(args, &[a, b, c, d, e, f])?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `prctl(PR_SET_SECCOMP)`.
pub(super) fn set_mode(call: &mut Call<'_>, mode: u64, filter: UserAddr) -> SysResult {
    let mode = u32::try_from(mode).map_err(|_| Errno::EINVAL)?;
    match mode {
        mode::STRICT => seccomp(call, operation::STRICT, 0, UserAddr::NULL),
        mode::FILTER => add_filter(call, 0, filter),
        _ => Err(Errno::EINVAL),
    }
}

/// `struct sock_fprog` is at `args`.
fn add_filter(call: &Call<'_>, flags: u32, args: UserAddr) -> SysResult {
    if flags & !(TSYNC | TSYNC_ESRCH | WITHOUT_EFFECT) != 0 {
        return Err(Errno::EINVAL);
    }
    let (task, space) = (call.task, call.space);
    let description: [u64; 2] = space.read_val(args)?;
    bpf::len(description)?;
    // Otherwise a program that isn't allowed what its file's owner is could keep that one from noticing.
    if !task.has_no_new_privileges() && !task.creds().has(abi::CAP_SYS_ADMIN) {
        return Err(Errno::EACCES);
    }
    let list = bpf::read(space, description)?;
    let odd = seccomp::add_filter(task, Program::of_calls(list)?, flags & TSYNC != 0)?;
    if odd != 0 && flags & TSYNC_ESRCH != 0 {
        return Err(Errno::ESRCH);
    }
    Ok(odd.into())
}
