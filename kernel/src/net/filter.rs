//! Filters of sockets (`SO_ATTACH_FILTER`): programs that say which messages a socket takes, and how much of each.
//!
//! [`Common::sieve`] is asked where a message arrives: at datagram and raw sockets, unix sockets of messages, and
//! netlink's. Streams keep their filter and aren't filtered: nothing here cuts them into packets.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use kiln_core::bpf::packet::View;
use kiln_core::bpf::{Instruction, Program};
use kiln_core::errno::Errno;
use kiln_core::net::LOOPBACK_INDEX;
use kiln_core::net::options::so;
use kiln_core::net::queue::Piece;
use kiln_core::num::usize_of32;

use super::common::Common;
use super::packet::Packet;
use crate::drivers::random;
use crate::fs::memory::{try_arc, try_zeros};
use crate::vm::IoDst;

/// What a frame says is in it (linux/if_ether.h).
pub(super) const ETH_P_IP: u16 = 0x0800;
pub(super) const ETH_P_IPV6: u16 = 0x86DD;

/// A message as a filter sees it.
pub(super) struct Seen {
    /// With the heads in front of it that the filter may look at.
    pub(super) bytes: Vec<u8>,
    /// Where the filter's places are counted from.
    pub(super) start: usize,
    /// Bytes from there on that are a head, and stay.
    pub(super) head: usize,
    /// `ETH_P_*`.
    pub(super) protocol: u16,
    /// The interface it came by.
    pub(super) interface: u32,
}

impl Seen {
    /// A message without heads.
    pub(super) fn plain(packet: &Packet) -> Result<Self, Errno> {
        let mut bytes = try_zeros(packet.len())?;
        packet.put(&mut IoDst::kernel(&mut bytes), 0, packet.len())?;
        Ok(Self {
            bytes,
            start: 0,
            head: 0,
            protocol: packet.route.map_or(0, |route| match route.to {
                IpAddr::V4(_) => ETH_P_IP,
                IpAddr::V6(_) => ETH_P_IPV6,
            }),
            interface: packet.route.map_or(0, |_| LOOPBACK_INDEX),
        })
    }
}

fn dice() -> u32 {
    let mut bytes = [0; 4];
    random::fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

impl Common {
    /// `EPERM` when the filter is to stay as it is.
    pub(super) fn may_set_filter(&self) -> Result<(), Errno> {
        match self.options.lock().has(so::LOCK_FILTER) {
            true => Err(Errno::EPERM),
            false => Ok(()),
        }
    }

    /// Puts a filter there, or takes it away (`ENOENT`: there is none).
    pub(super) fn set_filter(&self, list: Option<Vec<Instruction>>) -> Result<(), Errno> {
        let mut fresh = match list {
            Some(list) => Some(try_arc(Program::of_packets(list)?)?),
            None => None,
        };
        let there = fresh.is_some();
        {
            // Together, so that the option tells whether there is one, and a lock is a lock.
            let mut filter = self.filter.lock();
            let mut options = self.options.lock();
            if options.has(so::LOCK_FILTER) {
                return Err(Errno::EPERM);
            }
            options.switch(so::ATTACH_FILTER, there);
            core::mem::swap(&mut *filter, &mut fresh);
        }
        match fresh {
            None if !there => Err(Errno::ENOENT),
            _ => Ok(()),
        }
    }

    /// The filter, if there is one.
    pub(super) fn filter(&self) -> Option<Arc<Program>> {
        self.filter.lock().clone()
    }

    /// As much of a message as the socket wants; `None`: it doesn't want it.
    pub(super) fn sieve(
        &self,
        packet: Arc<Packet>,
        seen: impl FnOnce(&Packet) -> Result<Seen, Errno>,
    ) -> Result<Option<Arc<Packet>>, Errno> {
        if !self.options.lock().has(so::ATTACH_FILTER) {
            return Ok(Some(packet));
        }
        let Some(program) = self.filter() else {
            return Ok(Some(packet));
        };
        let seen = seen(&packet)?;
        let view = View {
            datagram: &seen.bytes,
            start: seen.start,
            protocol: seen.protocol,
            interface: seen.interface,
            random: dice,
        };
        match usize_of32(program.run_on_packet(&view)) {
            0 => Ok(None),
            kept if kept >= view.len() => Ok(Some(packet)),
            kept => packet.first(kept.saturating_sub(seen.head)).map(Some),
        }
    }
}
