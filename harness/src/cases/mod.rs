//! The tests that need the machine, by subject, and the host's own tests and lints as one of them.

use crate::testing::Case;

mod boot;
mod clocks;
mod cores;
mod counts;
mod crash;
mod disks;
mod docs;
mod faults;
mod files;
mod host;
mod images;
mod memory;
mod options;
mod signals;
mod statuses;
mod strace;
mod streams;
mod terminal;
mod userland;

/// All of them, in the order in which they start.
#[must_use]
pub fn all() -> Vec<Case> {
    [
        host::cases(),
        docs::cases(),
        boot::cases(),
        options::cases(),
        statuses::cases(),
        cores::cases(),
        strace::cases(),
        streams::cases(),
        files::cases(),
        crash::cases(),
        disks::cases(),
        images::cases(),
        signals::cases(),
        terminal::cases(),
        faults::cases(),
        memory::cases(),
        clocks::cases(),
        counts::cases(),
        userland::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
