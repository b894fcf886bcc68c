//! Devices: what is on the machine's ports and in its virtio slots.
//!
//! | module | |
//! | --- | --- |
//! | [`debugcon`], [`serial`] | lines for the launcher and for kernel developers |
//! | [`fw_cfg`] | files the launcher hands over, the job's specification among them |
//! | [`virtio`] | disks and the channel's console, over MMIO |
//! | [`block`] | what a disk can do, and the disks there are |
//! | [`channel`] | the job's standard streams, to and from the launcher |
//! | [`random`] | random bytes |
//! | [`dma`] | memory shared with devices: the one file with `unsafe` |

pub(crate) mod block;
pub(crate) mod channel;
pub(crate) mod debugcon;
mod dma;
pub(crate) mod fw_cfg;
pub(crate) mod random;
pub(crate) mod serial;
pub(crate) mod virtio;

use kiln_core::errno::Errno;

use crate::sched::{Mode, WaitQueue, Wake};

/// Sleeps until `condition` gives a value.
fn wait_until<T>(queue: &WaitQueue, mut condition: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Ok(value) = queue.wait(Mode::Uninterruptible, None, &mut condition) {
            return value;
        }
    }
}

/// Sleeps until `condition` gives a value or a signal comes; then the call is to be restarted.
fn wait_interruptibly<T>(
    queue: &WaitQueue,
    condition: impl FnMut() -> Option<T>,
) -> Result<T, Errno> {
    let result = queue.wait(Mode::Interruptible, None, condition);
    result.map_err(|wake| match wake {
        Wake::Signal => Errno::ERESTARTSYS,
        Wake::Timeout => Errno::EAGAIN,
    })
}
