//! NUMA: policies and places of memory, as Linux answers on a machine with one node
//! (`mm/mempolicy.c`, `mm/migrate.c`). Policies are checked, kept and told; pages are where they are.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::abi::CAP_SYS_NICE;
use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::mempolicy::{MAX_NODES, Mode, Nodes, Policy, list_words};
use kiln_core::num::{int_arg, low8, u64_of};

use super::{Call, SysResult};
use crate::process::{Task, proc, table};
use crate::vm::AddressSpace;

const PAGE: u64 = u64_of(PAGE_SIZE);

/// `MPOL_F_NODE`, `MPOL_F_ADDR`, `MPOL_F_MEMS_ALLOWED` (linux/mempolicy.h).
const F_NODE: u64 = 1;
const F_ADDR: u64 = 2;
const F_MEMS_ALLOWED: u64 = 4;
/// `MPOL_MF_STRICT`, `MPOL_MF_MOVE`, `MPOL_MF_MOVE_ALL`.
const MF_STRICT: u64 = 1;
const MF_MOVE: u64 = 2;
const MF_MOVE_ALL: u64 = 4;

/// The list of nodes at `at`.
fn nodes(call: &Call<'_>, at: UserAddr, bits: u64) -> Result<Nodes, Errno> {
    let mut nodes = Nodes::default();
    if at.is_null() {
        return Ok(nodes);
    }
    let (words, last) = list_words(bits)?;
    let space = call.space;
    for index in 0..words {
        let word: u64 = space.read_val(at.checked_add(index * 8).ok_or(Errno::EFAULT)?)?;
        let counts = if index + 1 == words {
            u64::MAX >> (64 - last)
        } else {
            u64::MAX
        };
        let set = word & counts;
        if index * 64 >= MAX_NODES {
            if set != 0 {
                return Err(Errno::EINVAL);
            }
            continue;
        }
        nodes.first |= index == 0 && set & 1 != 0;
        nodes.others |= set & !u64::from(index == 0) != 0;
    }
    Ok(nodes)
}

/// Writes a list of `bits` bits with node 0 in it, or not.
fn tell_nodes(
    space: &Arc<AddressSpace>,
    at: UserAddr,
    bits: u64,
    first: bool,
) -> Result<(), Errno> {
    const MOST_BITS: u64 = 8 * PAGE;
    let bits = bits.wrapping_sub(1);
    // What is longer than the list of all nodes is cleared, as far as a page goes.
    let bytes = bits.div_ceil(64).saturating_mul(8);
    let known = (MAX_NODES / 8).min(bytes);
    if bytes > known && bits > MOST_BITS {
        return Err(Errno::EINVAL);
    }
    space.zero_out(at, kiln_core::num::usize_of(bytes))?;
    if first && bytes > 0 {
        space.write_val(at, &1u64)?;
    }
    Ok(())
}

fn own_policy(call: &Call<'_>) -> Policy {
    Policy::unpack(low8(u64::from(
        call.task.memory_policy.load(Ordering::Relaxed),
    )))
}

pub(super) fn set_mempolicy(
    call: &mut Call<'_>,
    mode: u32,
    list: UserAddr,
    bits: u64,
) -> SysResult {
    let (mode, flags) = Policy::parse(mode)?;
    let policy = Policy::new(mode, flags, nodes(call, list, bits)?)?;
    let word = u32::from(policy.pack());
    call.task.memory_policy.store(word, Ordering::Relaxed);
    Ok(0)
}

pub(super) fn get_mempolicy(
    call: &mut Call<'_>,
    mode: UserAddr,
    list: UserAddr,
    bits: u64,
    addr: UserAddr,
    flags: u64,
) -> SysResult {
    // There is one node.
    if !list.is_null() && bits < 1 || flags & !(F_NODE | F_ADDR | F_MEMS_ALLOWED) != 0 {
        return Err(Errno::EINVAL);
    }
    let space = call.space;
    let (word, first) = if flags & F_MEMS_ALLOWED != 0 {
        if flags & (F_NODE | F_ADDR) != 0 {
            return Err(Errno::EINVAL);
        }
        (0, true)
    } else {
        let policy = if flags & F_ADDR != 0 {
            let area = space.policy_at(addr.raw()).ok_or(Errno::EFAULT)?;
            // An area without one has the task's.
            if area == Policy::default() {
                own_policy(call)
            } else {
                area
            }
        } else if addr.is_null() {
            own_policy(call)
        } else {
            return Err(Errno::EINVAL);
        };
        let interleaves = policy.mode() == Mode::Interleave;
        let word = match (flags & F_NODE != 0, flags & F_ADDR != 0) {
            (true, true) => {
                space.read_val::<u8>(addr)?;
                0
            }
            (true, false) if interleaves => 0,
            (true, false) => return Err(Errno::EINVAL),
            (false, _) => policy.word(),
        };
        (word, policy.has_node())
    };
    if !mode.is_null() {
        space.write_val(mode, &word)?;
    }
    if !list.is_null() {
        tell_nodes(space, list, bits, first)?;
    }
    Ok(0)
}

pub(super) fn mbind(
    call: &mut Call<'_>,
    start: u64,
    len: u64,
    mode: u64,
    list: UserAddr,
    bits: u64,
    flags: u64,
) -> SysResult {
    let (mode, mode_flags) = Policy::parse(int_arg(mode).cast_unsigned())?;
    let nodes = nodes(call, list, bits)?;
    if flags & !(MF_STRICT | MF_MOVE | MF_MOVE_ALL) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & MF_MOVE_ALL != 0 && !call.creds.has(CAP_SYS_NICE) {
        return Err(Errno::EPERM);
    }
    if !start.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let len = len.wrapping_add(PAGE - 1) & !(PAGE - 1);
    let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
    if end == start {
        return Ok(0);
    }
    let policy = Policy::new(mode, mode_flags, nodes)?;
    call.space.set_policy(&(start..end), policy)?;
    Ok(0)
}

pub(super) fn set_mempolicy_home_node(
    call: &mut Call<'_>,
    start: u64,
    len: u64,
    node: u64,
    flags: u64,
) -> SysResult {
    if !start.is_multiple_of(PAGE) || flags != 0 || node != 0 {
        return Err(Errno::EINVAL);
    }
    let len = len.wrapping_add(PAGE - 1) & !(PAGE - 1);
    let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
    if end == start {
        return Ok(0);
    }
    call.space.check_home_node(&(start..end))?;
    Ok(0)
}

/// The task whose memory is meant: the caller for 0.
fn target(call: &Call<'_>, pid: i32) -> Result<Arc<Task>, Errno> {
    if pid == 0 {
        return table::task(call.task.tid()).ok_or(Errno::ESRCH);
    }
    let number = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let other = table::task(number).ok_or(Errno::ESRCH)?;
    if !proc::may_inspect(call.task, &other) {
        return Err(Errno::EPERM);
    }
    Ok(other)
}

pub(super) fn migrate_pages(
    call: &mut Call<'_>,
    pid: i32,
    bits: u64,
    from: UserAddr,
    to: UserAddr,
) -> SysResult {
    nodes(call, from, bits)?;
    let to = nodes(call, to, bits)?;
    let other = target(call, pid)?;
    if to.others && !call.creds.has(CAP_SYS_NICE) {
        return Err(Errno::EPERM);
    }
    // Of the nodes named only this one is there.
    if !to.first {
        return Err(Errno::EINVAL);
    }
    other.space().map_err(|_| Errno::EINVAL)?;
    // Everything is where it shall be.
    Ok(0)
}

pub(super) fn move_pages(
    call: &mut Call<'_>,
    pid: i32,
    count: u64,
    pages: UserAddr,
    to: UserAddr,
    status: UserAddr,
    flags: u64,
) -> SysResult {
    if flags & !(MF_MOVE | MF_MOVE_ALL) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & MF_MOVE_ALL != 0 && !call.creds.has(CAP_SYS_NICE) {
        return Err(Errno::EPERM);
    }
    let other = target(call, pid)?.space().map_err(|_| Errno::EINVAL)?;
    let own = call.space;
    let at = |base: UserAddr, index: u64, size: u64| {
        let offset = index.checked_mul(size).ok_or(Errno::EFAULT)?;
        base.checked_add(offset).ok_or(Errno::EFAULT)
    };
    for index in 0..count {
        let page: u64 = own.read_val(at(pages, index, 8)?)?;
        if !to.is_null() {
            let node: i32 = own.read_val(at(to, index, 4)?)?;
            if node != 0 {
                return Err(Errno::ENODEV);
            }
        }
        let found: i32 = match other.is_in_memory(page) {
            Some(true) => 0,
            Some(false) => -i32::from(Errno::ENOENT.number()),
            None => -i32::from(Errno::EFAULT.number()),
        };
        own.write_val(at(status, index, 4)?, &found)?;
        if call.task.has_work() {
            // As far as a signal of death allows: the list may be long.
            if call.task.is_ending() {
                return Err(Errno::EINTR);
            }
        }
    }
    Ok(0)
}
