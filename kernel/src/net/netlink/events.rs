//! The connector (`NETLINK_CONNECTOR`): those who joined its one group are told of forks, execs and ends,
//! as long as somebody asked for it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use kiln_core::errno::Errno;
use kiln_core::net::netlink::connector::{self, Details, IGNORE, LISTEN};

use super::Ends;
use crate::arch::cpu::{MAX_CPUS, this_cpu};
use crate::arch::time::now_ns;
use crate::sync::SpinLock;

/// How many asked to be told, less those who asked not to be.
static ASKED: AtomicI32 = AtomicI32::new(0);
/// Each CPU's events so far: by a gap in their numbers a program sees what it lost.
static SENT: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];
/// Who is in the group. A place that was given up stays, so that nobody is passed over meanwhile.
static MEMBERS: SpinLock<Vec<Option<Arc<Ends>>>> = SpinLock::new(Vec::new());

/// Takes a socket into the group.
pub(super) fn join(ends: &Arc<Ends>) -> Result<(), Errno> {
    let mut members = MEMBERS.lock();
    let is_it =
        |place: &Option<Arc<Ends>>| place.as_ref().is_some_and(|one| Arc::ptr_eq(one, ends));
    if members.iter().any(is_it) {
        return Ok(());
    }
    match members.iter_mut().find(|place| place.is_none()) {
        Some(place) => *place = Some(Arc::clone(ends)),
        None => {
            members.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            members.push(Some(Arc::clone(ends)));
        }
    }
    Ok(())
}

/// Takes it out of the group, if it is in there.
pub(super) fn leave(ends: &Arc<Ends>) {
    let mut members = MEMBERS.lock();
    let mut left = None;
    for place in members.iter_mut() {
        if place.as_ref().is_some_and(|one| Arc::ptr_eq(one, ends)) {
            left = place.take();
        }
    }
    drop(members);
    drop(left);
}

/// Does what a message asks for, and tells all how that went.
pub(super) fn asked(raw: &[u8], may: bool) {
    let Some(wish) = connector::wish(raw) else {
        return;
    };
    let result = match wish.wanted {
        _ if !may => Errno::EPERM.number(),
        LISTEN => {
            ASKED.fetch_add(1, Ordering::Relaxed);
            0
        }
        IGNORE => {
            ASKED.fetch_sub(1, Ordering::Relaxed);
            0
        }
        _ => Errno::EINVAL.number(),
    };
    // PROC_EVENT_NONE.
    send(wish.ack.wrapping_add(1), 0, &[result.into(), 0, 0, 0, 0, 0]);
}

/// Whether anybody wants to be told.
pub(crate) fn are_wanted() -> bool {
    ASKED.load(Ordering::Relaxed) > 0
}

/// Tells what happened (`PROC_EVENT_*`, linux/cn_proc.h).
pub(crate) fn tell(what: u32, details: &Details) {
    send(0, what, details);
}

fn send(ack: u32, what: u32, details: &Details) {
    let cpu = this_cpu().id();
    let sent = SENT.get(kiln_core::num::usize_of32(cpu));
    let sent = sent.map_or(0, |sent| sent.fetch_add(1, Ordering::Relaxed));
    let raw = connector::message((sent, ack), what, cpu, now_ns(), details);
    for at in 0.. {
        let member = match MEMBERS.lock().get(at) {
            Some(member) => member.clone(),
            None => return,
        };
        if let Some(ends) = member
            && let Err(errno) = ends.put(&raw)
        {
            ends.common.fail(errno);
        }
    }
}
