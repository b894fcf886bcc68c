//! [`PortTable`]: who has which local address and port, of one transport protocol.
//!
//! It decides what Linux's bind conflict rules decide (socket(7), `SO_REUSEADDR` and
//! `SO_REUSEPORT`), finds who gets a connection or a datagram, and remembers the connections that
//! were closed first here (`TIME_WAIT`), which keep their port for a minute.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::sync::atomic::{AtomicU32, Ordering};

use super::addr::Endpoint;
use crate::errno::Errno;
use crate::num::{low16, usize_of32};

/// Where ports chosen by the kernel begin and end (`net.ipv4.ip_local_port_range`), in both halves.
static EPHEMERAL: AtomicU32 = AtomicU32::new(32_768 << 16 | 60_999);

/// The first port that everybody may have (`net.ipv4.ip_unprivileged_port_start`).
pub const UNPRIVILEGED: u16 = 1024;

/// The first and the last port that the kernel chooses.
pub fn ephemeral() -> (u16, u16) {
    let both = EPHEMERAL.load(Ordering::Relaxed);
    (low16((both >> 16).into()), low16(both.into()))
}

/// Sets them.
///
/// # Errors
/// `EINVAL` for what are no ports, or none between, and for those that not everybody may have.
pub fn set_ephemeral(first: u32, last: u32) -> Result<(), Errno> {
    if first < UNPRIVILEGED.into() || first > last || last > 0xFFFF {
        return Err(Errno::EINVAL);
    }
    EPHEMERAL.store(first << 16 | last, Ordering::Relaxed);
    Ok(())
}

/// Nanoseconds that a closed connection keeps its port (`TCP_TIMEWAIT_LEN`).
pub const TIME_WAIT_NS: u64 = 60_000_000_000;

/// How a socket holds its port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Address and port.
    pub local: Endpoint,
    /// Bound to an IPv6 socket's own unspecified address, that may stand for IPv4's too.
    pub v6: bool,
    /// It doesn't.
    pub v6_only: bool,
    /// Where it is connected to.
    pub peer: Option<Endpoint>,
    /// `SO_REUSEADDR`.
    pub reuse_addr: bool,
    /// `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// Whose it is, for `SO_REUSEPORT`.
    pub uid: u32,
    /// It takes connections, so it shares with no other.
    pub listening: bool,
}

struct Entry<T> {
    id: u64,
    claim: Claim,
    /// Nobody when the connection is gone, until then.
    owner: Result<T, u64>,
}

/// Who has which port.
pub struct PortTable<T> {
    buckets: Vec<Vec<Entry<T>>>,
    turn: usize,
}

/// By a port's low bits.
const BUCKETS: usize = 256;
/// Most closed connections that are remembered.
const MAX_WAITING: usize = 64;

impl Claim {
    /// Whether the two could be meant by one address.
    fn overlaps(&self, other: &Self) -> bool {
        let any = |claim: &Self| claim.local.is_any();
        let kind = |claim: &Self| matches!(claim.local.ip, IpAddr::V6(_));
        match (any(self), any(other)) {
            (false, false) => self.local.ip == other.local.ip,
            (true, false) => self.covers(kind(other)),
            (false, true) => other.covers(kind(self)),
            (true, true) => kind(self) == kind(other) || self.dual() || other.dual(),
        }
    }

    fn dual(&self) -> bool {
        matches!(self.local.ip, IpAddr::V6(_)) && !self.v6_only
    }

    /// Whether an unspecified address stands for those of the family.
    fn covers(&self, v6: bool) -> bool {
        matches!(self.local.ip, IpAddr::V6(_)) == v6 || self.dual()
    }

    fn conflicts(&self, other: &Self) -> bool {
        if !self.overlaps(other) {
            return false;
        }
        let ports = self.reuse_port && other.reuse_port && self.uid == other.uid;
        let addrs = self.reuse_addr && other.reuse_addr && !(self.listening && other.listening);
        // Whoever takes connections on it shares by `SO_REUSEPORT` only.
        let addrs = addrs && !other.listening;
        !(ports || addrs)
    }

    /// How well it fits what comes for `to` from `from`; `None`: not at all.
    fn score(&self, to: Endpoint, from: Option<Endpoint>) -> Option<u32> {
        let mut score = if self.local.is_any() {
            if !self.covers(matches!(to.ip, IpAddr::V6(_))) {
                return None;
            }
            u32::from(matches!(self.local.ip, IpAddr::V6(_)) == matches!(to.ip, IpAddr::V6(_)))
        } else if self.local.ip == to.ip {
            4
        } else {
            return None;
        };
        if let Some(peer) = self.peer {
            if Some(peer) != from {
                return None;
            }
            score += 8;
        }
        Some(score)
    }
}

impl<T> Default for PortTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> PortTable<T> {
    /// Empty.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buckets: Vec::new(),
            turn: 0,
        }
    }

    fn bucket(&self, port: u16) -> &[Entry<T>] {
        let bucket = self.buckets.get(usize::from(port) % BUCKETS);
        bucket.map_or(&[], Vec::as_slice)
    }

    fn bucket_mut(&mut self, port: u16) -> Result<&mut Vec<Entry<T>>, Errno> {
        if self.buckets.is_empty() {
            self.buckets
                .try_reserve_exact(BUCKETS)
                .map_err(|_| Errno::ENOMEM)?;
            self.buckets.resize_with(BUCKETS, Vec::new);
        }
        self.buckets
            .get_mut(usize::from(port) % BUCKETS)
            .ok_or(Errno::ENOMEM)
    }

    fn of_port(&self, port: u16) -> impl Iterator<Item = &Entry<T>> {
        let all = self.bucket(port).iter();
        all.filter(move |entry| entry.claim.local.port == port)
    }

    /// Whether somebody is in the way of the claim, at the time `now`.
    #[must_use]
    pub fn in_the_way(&self, id: u64, claim: &Claim, now: u64) -> bool {
        self.of_port(claim.local.port).any(|entry| {
            let alive = entry
                .owner
                .as_ref()
                .map_or_else(|until| *until > now, |_| true);
            entry.id != id && alive && claim.conflicts(&entry.claim)
        })
    }

    /// Enters a claim without asking.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn enter(&mut self, id: u64, claim: Claim, owner: T) -> Result<(), Errno> {
        let bucket = self.bucket_mut(claim.local.port)?;
        bucket.retain(|entry| entry.id != id);
        bucket.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        bucket.push(Entry {
            id,
            claim,
            owner: Ok(owner),
        });
        Ok(())
    }

    /// Enters a claim that nobody is in the way of.
    ///
    /// # Errors
    /// `EADDRINUSE`, `ENOMEM`.
    pub fn claim(&mut self, id: u64, claim: Claim, owner: T, now: u64) -> Result<(), Errno> {
        if self.in_the_way(id, &claim, now) {
            return Err(Errno::EADDRINUSE);
        }
        self.enter(id, claim, owner)
    }

    /// Changes a claim in place; false when it isn't there.
    pub fn change(&mut self, id: u64, port: u16, change: impl FnOnce(&mut Claim)) -> bool {
        let Ok(bucket) = self.bucket_mut(port) else {
            return false;
        };
        let found = bucket.iter_mut().find(|entry| entry.id == id);
        match found {
            Some(entry) => {
                change(&mut entry.claim);
                true
            }
            None => false,
        }
    }

    /// Takes a claim back. With `until` the port stays in use until then (`TIME_WAIT`). Answers the
    /// owner, to be dropped outside the table's lock.
    pub fn release(&mut self, id: u64, port: u16, now: u64, until: Option<u64>) -> Option<T> {
        let bucket = self.bucket_mut(port).ok()?;
        bucket.retain(|entry| {
            entry
                .owner
                .as_ref()
                .map_or_else(|until| *until > now, |_| true)
        });
        let waiting = bucket.iter().filter(|entry| entry.owner.is_err()).count();
        let at = bucket.iter().position(|entry| entry.id == id)?;
        match until.filter(|_| waiting < MAX_WAITING) {
            Some(until) => {
                let entry = bucket.get_mut(at)?;
                entry.claim.listening = false;
                core::mem::replace(&mut entry.owner, Err(until)).ok()
            }
            None => bucket.swap_remove(at).owner.ok(),
        }
    }

    /// A port of the ephemeral range that the claim can have, the search beginning at `seed`.
    #[must_use]
    pub fn free_port(&self, id: u64, claim: &Claim, seed: u32, now: u64) -> Option<u16> {
        let (first, last) = ephemeral();
        let span = u32::from(last - first) + 1;
        (0..span).find_map(|step| {
            let offset = (seed % span + step) % span;
            let port = first.checked_add(u16::try_from(offset).ok()?)?;
            let mut claim = *claim;
            claim.local.port = port;
            // A chosen port is nobody else's, whatever sharing was asked for.
            (claim.reuse_addr, claim.reuse_port) = (false, false);
            (!self.in_the_way(id, &claim, now)).then_some(port)
        })
    }

    /// Whether a connection between the two is there, or was closed a short time ago.
    #[must_use]
    pub fn connected(&self, local: Endpoint, peer: Endpoint, now: u64) -> bool {
        self.of_port(local.port).any(|entry| {
            let alive = entry
                .owner
                .as_ref()
                .map_or_else(|until| *until > now, |_| true);
            alive && entry.claim.local == local && entry.claim.peer == Some(peer)
        })
    }

    /// Who gets what comes for `to` from `from`: the one that fits best; of several that fit as
    /// well (`SO_REUSEPORT`) each in turn, or with `latest` the one that came last.
    pub fn find(
        &mut self,
        to: Endpoint,
        from: Option<Endpoint>,
        listening: bool,
        latest: bool,
    ) -> Option<&T> {
        let best = self
            .of_port(to.port)
            .filter(|entry| entry.owner.is_ok() && entry.claim.listening == listening)
            .filter_map(|entry| entry.claim.score(to, from))
            .max()?;
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn;
        let fits = |entry: &&Entry<T>| {
            entry.owner.is_ok()
                && entry.claim.listening == listening
                && entry.claim.score(to, from) == Some(best)
        };
        let shared = self
            .of_port(to.port)
            .filter(fits)
            .all(|entry| entry.claim.reuse_port);
        let count = self.of_port(to.port).filter(fits).count();
        let at = match (latest && !shared, count) {
            (_, 0) => return None,
            (true, count) => count - 1,
            (false, count) => turn % count,
        };
        let found = self.of_port(to.port).filter(fits).nth(at)?;
        found.owner.as_ref().ok()
    }

    /// Everybody who can get what comes for the port `to`, for broadcasts and groups.
    pub fn all(&self, to: Endpoint, from: Option<Endpoint>) -> impl Iterator<Item = &T> {
        self.of_port(to.port)
            .filter(move |entry| {
                entry.claim.score(to, from).is_some() || entry.claim.local.ip == to.ip
            })
            .filter_map(|entry| entry.owner.as_ref().ok())
    }

    /// Every claim: its owner, or `None` for a connection that was closed.
    pub fn iter(&self, now: u64) -> impl Iterator<Item = (&Claim, Option<&T>)> {
        self.buckets.iter().flatten().filter_map(move |entry| {
            let alive = entry
                .owner
                .as_ref()
                .map_or_else(|until| *until > now, |_| true);
            alive.then(|| (&entry.claim, entry.owner.as_ref().ok()))
        })
    }

    /// How many claims there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.iter().map(Vec::len).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A seed for [`PortTable::free_port`] from random bytes.
#[must_use]
pub fn seed(random: [u8; 4]) -> u32 {
    // The low bits are the buckets': neighbours in time needn't be neighbours there.
    u32::from_le_bytes(random) ^ low(usize_of32(u32::from_be_bytes(random)) >> 3)
}

fn low(value: usize) -> u32 {
    crate::num::low32(crate::num::u64_of(value))
}

#[cfg(test)]
mod tests;
