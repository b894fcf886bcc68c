//! The thread of a mounted file system that commits its journal every few seconds, so that a
//! machine that stops loses little even of what nobody asked to be durable.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use kiln_core::errno::Errno;

use super::Volume;
use crate::arch::time;
use crate::sched::{self, Mode, WaitQueue};

/// How long a change stays uncommitted, in nanoseconds (Linux: `commit=5`).
const INTERVAL: u64 = 5_000_000_000;

/// Starts the thread of `volume`; it ends with it.
pub(super) fn start(volume: &Arc<Volume>) -> Result<(), Errno> {
    let volume = Arc::downgrade(volume);
    sched::spawn(b"jbd2", Box::new(move || run(&volume)))
        .map(drop)
        .map_err(|_| Errno::ENOMEM)
}

fn run(volume: &Weak<Volume>) {
    let rest = WaitQueue::new();
    loop {
        let due = time::now_ns() + INTERVAL;
        let _ = rest.wait(Mode::Uninterruptible, Some(due), || None::<()>);
        let Some(volume) = volume.upgrade() else {
            return;
        };
        volume.write_changed();
        // An error stays with the journal: the next one who syncs is told.
        let _ = volume.commit_if_changed();
    }
}
