//! Devices: what is on the machine's ports and in its virtio slots.
//!
//! | module | |
//! | --- | --- |
//! | [`debugcon`], [`serial`] | lines for the launcher and for kernel developers |
//! | [`fw_cfg`] | files the launcher hands over, the job's specification among them |
//! | [`virtio`] | disks and the channel's console, over MMIO |
//! | [`block`] | what a disk can do, and the disks there are |
//! | [`channel`] | the job's standard streams, to and from the launcher |
//! | [`dma`] | memory shared with devices: the one file with `unsafe` |

pub(crate) mod debugcon;
mod dma;
pub(crate) mod fw_cfg;
pub(crate) mod serial;
