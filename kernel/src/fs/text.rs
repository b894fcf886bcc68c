//! Files whose text is made when they are read: those of `/proc`, `/sys` and control groups.
//! [`Text`] is what is being written, a [`TextSource`] who writes it, a [`TextFile`] the open file.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::cpulist::{List, Map};
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};

use super::file::{Events, File, FileOps, Watch};
use super::memory::{append, try_arc, try_zeros};
use crate::arch::smp;
use crate::sched::{Mutex, WaitQueue};
use crate::sync::Once;
use crate::vm::{IoDst, IoSrc};

/// Longest text that can be written to a file here at once.
const WRITE_MAX: usize = 4096;

/// Text under construction; running out of memory shows as an error of `write!`.
#[derive(Default)]
pub(crate) struct Text(Vec<u8>);

impl Text {
    /// Appends bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        append(&mut self.0, bytes)
    }

    /// The bytes so far.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, as a vector of their own.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// A line with the processors of a mask, as `0-2,5`.
    pub(crate) fn cpu_list(&mut self, mask: u64) -> Result<(), Errno> {
        self.put(format_args!("{}\n", List(mask)))
    }

    /// A line with a mask of processors in hexadecimal.
    pub(crate) fn cpu_map(&mut self, mask: u64) -> Result<(), Errno> {
        let count = smp::count();
        self.put(format_args!("{}\n", Map { mask, count }))
    }

    /// Writes formatted text.
    pub(crate) fn put(&mut self, arguments: fmt::Arguments<'_>) -> Result<(), Errno> {
        self.write_fmt(arguments).map_err(|_| Errno::ENOMEM)
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// Counts how often a text has changed, and wakes those who wait for that.
pub(crate) struct Changes {
    count: AtomicU64,
    /// Made when somebody first waits.
    queue: Once<Arc<WaitQueue>>,
}

impl Changes {
    pub(crate) const fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            queue: Once::new(),
        }
    }

    /// It has changed.
    pub(crate) fn note(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        if let Some(queue) = self.queue.get() {
            queue.wake_all();
        }
    }
}

/// What has a text.
pub(crate) trait TextSource: Send + Sync {
    /// Writes it.
    fn write_text(&self, out: &mut Text) -> Result<(), Errno>;

    /// Takes what is written to it.
    fn set(&self, value: &[u8]) -> Result<(), Errno>;

    /// Where its changes are counted, if they can be waited for.
    fn changes(&self) -> Option<&Changes> {
        None
    }

    /// Whether poll tells a change once, to who asks first; else until the text is read.
    fn told_by_poll(&self) -> bool {
        false
    }
}

/// An open file with a text.
pub(crate) struct TextFile {
    source: Arc<dyn TextSource>,
    /// The text, made anew when reading begins again.
    text: Mutex<Option<Text>>,
    /// Its changes up to the last read.
    seen: AtomicU64,
}

impl TextFile {
    /// Of what writes it.
    pub(crate) fn new(source: Arc<dyn TextSource>) -> Self {
        let seen = source
            .changes()
            .map_or(0, |changes| changes.count.load(Ordering::Acquire));
        Self {
            source,
            text: Mutex::new(None),
            seen: AtomicU64::new(seen),
        }
    }
}

impl FileOps for TextFile {
    fn can_poll(&self) -> bool {
        self.source.changes().is_some()
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn Watch>) -> Events {
        let Some(changes) = self.source.changes() else {
            return Events::READABLE | Events::WRITABLE;
        };
        let once = self.source.told_by_poll();
        let mut events = Events::READABLE;
        events.set(Events::WRITABLE, !once);
        if let Some(watch) = watch
            && let Ok(queue) = changes.queue.try_call_once(|| try_arc(WaitQueue::new()))
        {
            watch.add(queue);
        }
        let count = changes.count.load(Ordering::Acquire);
        let seen = self.seen.load(Ordering::Acquire);
        if count == seen {
            return events;
        }
        if once {
            self.seen.store(count, Ordering::Release);
        }
        events | Events::ERR | Events::PRI
    }

    fn read(&self, _: &File, dst: &mut IoDst<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let mut text = self.text.lock();
        if *pos == 0 || text.is_none() {
            if let Some(changes) = self.source.changes()
                && !self.source.told_by_poll()
            {
                let count = changes.count.load(Ordering::Acquire);
                self.seen.store(count, Ordering::Release);
            }
            let mut fresh = Text::default();
            self.source.write_text(&mut fresh)?;
            *text = Some(fresh);
        }
        let bytes = text.as_ref().map_or(&[][..], Text::as_bytes);
        let rest = bytes.get(usize_of(*pos)..).unwrap_or(&[]);
        let done = dst.put(rest)?;
        *pos += u64_of(done);
        Ok(done)
    }

    fn write(&self, _: &File, src: &mut IoSrc<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let mut value = try_zeros(src.remaining().min(WRITE_MAX))?;
        let done = src.take(&mut value)?;
        self.source.set(value.get(..done).unwrap_or(&[]))?;
        *pos += u64_of(done);
        Ok(done)
    }
}
