//! Signals of open files, sent: whom an owner's number means, who may be told, and what the signal
//! says (fcntl(2), "Managing signals"). Handed down to `fs::fasync`.

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::signal::{SigInfo, Signal};

use super::signal::{send, send_to_task};
use super::task::Task;
use super::{current, table};
use crate::fs::fasync::{self, Hooks, Owner, Whom};

/// Makes files know of processes.
pub(super) fn init() {
    fasync::set_hooks(Hooks {
        send: send_owner,
        caller: caller_as_owner,
    });
}

/// The caller's process as an owner.
fn caller_as_owner() -> Owner {
    current().map_or_else(Owner::default, |task| {
        let uids = task.creds().uids;
        Owner {
            whom: Whom::Process(task.pid()),
            uid: uids.real,
            euid: uids.effective,
            signal: 0,
        }
    })
}

fn send_owner(owner: &Owner, fd: i32, reason: u32) {
    match owner.whom {
        Whom::Nobody => {}
        Whom::Thread(tid) => {
            if let Some(task) = table::task(tid).filter(|task| may_tell(owner, task)) {
                tell(owner, fd, reason, &|info| send_to_task(&task, info).is_ok());
            }
        }
        Whom::Process(pid) => {
            if let Some(process) = table::process_of(pid)
                && process
                    .first_task()
                    .is_some_and(|task| may_tell(owner, &task))
            {
                tell(owner, fd, reason, &|info| send(&process, info).is_ok());
            }
        }
        Whom::Group(group) => {
            for process in table::members(group).unwrap_or_default() {
                if process
                    .first_task()
                    .is_some_and(|task| may_tell(owner, &task))
                {
                    tell(owner, fd, reason, &|info| send(&process, info).is_ok());
                }
            }
        }
    }
}

/// Whether whoever named the owner could have sent the signal.
fn may_tell(owner: &Owner, task: &Arc<Task>) -> bool {
    let uids = task.creds().uids;
    owner.euid == 0
        || [uids.saved, uids.real].contains(&owner.euid)
        || [uids.saved, uids.real].contains(&owner.uid)
}

/// Sends the signal that was asked for; plain SIGIO when none was, or when it can't be queued.
fn tell(owner: &Owner, fd: i32, reason: u32, sent: &dyn Fn(SigInfo) -> bool) {
    let chosen = Signal::new(owner.signal.into());
    if let Some(signal) = chosen
        && sent(SigInfo::poll(
            signal,
            code(signal, reason),
            band(reason),
            fd,
        ))
    {
        return;
    }
    sent(SigInfo::kernel(Signal::IO));
}

/// `si_code`: the reason, unless the signal has codes of its own that it would be taken for.
fn code(signal: Signal, reason: u32) -> i32 {
    let specific = [
        Signal::ILL,
        Signal::FPE,
        Signal::SEGV,
        Signal::BUS,
        Signal::TRAP,
        Signal::CHLD,
        Signal::SYS,
    ];
    if specific.contains(&signal) {
        abi::SI_SIGIO
    } else {
        reason.cast_signed()
    }
}

/// `si_band`: what poll would tell (`band_table` of Linux's fs/fcntl.c).
fn band(reason: u32) -> i64 {
    let bits = match reason {
        abi::POLL_IN => abi::POLLIN | abi::POLLRDNORM,
        abi::POLL_OUT => abi::POLLOUT | abi::POLLWRNORM | abi::POLLWRBAND,
        abi::POLL_MSG => abi::POLLIN | abi::POLLRDNORM | abi::POLLMSG,
        abi::POLL_ERR => abi::POLLERR,
        abi::POLL_PRI => abi::POLLPRI | abi::POLLRDBAND,
        _ => abi::POLLHUP | abi::POLLERR,
    };
    bits.into()
}
