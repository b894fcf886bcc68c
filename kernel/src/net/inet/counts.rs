//! What is counted of TCP and UDP (RFC 4022, RFC 4113), for `/proc/net/snmp`. Segments aren't: there are none.

use core::sync::atomic::{AtomicU64, Ordering};

/// One count.
pub(in crate::net) struct Count(AtomicU64);

impl Count {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Once more.
    pub(super) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was.
    pub(in crate::net) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Connections begun from here, taken, and those that failed before they were made.
pub(in crate::net) static ACTIVE_OPENS: Count = Count::new();
pub(in crate::net) static PASSIVE_OPENS: Count = Count::new();
pub(in crate::net) static ATTEMPT_FAILS: Count = Count::new();
/// Ends of connections that were reset, and resets sent.
pub(in crate::net) static ESTAB_RESETS: Count = Count::new();
pub(in crate::net) static OUT_RSTS: Count = Count::new();
/// Datagrams received, sent, sent to where nobody is, and those that found no room.
pub(in crate::net) static IN_DATAGRAMS: Count = Count::new();
pub(in crate::net) static OUT_DATAGRAMS: Count = Count::new();
pub(in crate::net) static NO_PORTS: Count = Count::new();
pub(in crate::net) static NO_ROOM: Count = Count::new();
