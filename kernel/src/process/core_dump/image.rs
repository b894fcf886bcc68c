//! What is in a core file: headers, notes of the process and its threads, and memory.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::addr::{PAGE_SIZE as PAGE, UserAddr};
use kiln_core::coredump::{self, HEADER, PROGRAM_HEADER, Segment, Subject, Thread};
use kiln_core::num::u64_of;
use kiln_core::signal::SigInfo;

use crate::fs::file::File;
use crate::process::ptrace::{self, FXSAVE};
use crate::process::task::Task;
use crate::sched;
use crate::vm::{AddressSpace, CoreMap, IoSrc};

/// What is written at once, and how many pages are asked about at once: those of a table.
const CHUNK: usize = 16 * PAGE;
const PAGES: usize = 512;

/// What is to be written.
pub(super) struct Image<'a> {
    pub(super) task: &'a Arc<Task>,
    pub(super) info: &'a SigInfo,
    pub(super) space: &'a Arc<AddressSpace>,
    pub(super) subject: &'a Subject,
    pub(super) map: CoreMap,
    /// The threads that have left their registers.
    pub(super) tasks: Vec<Arc<Task>>,
}

/// Called with the kind and the contents of each note, in two parts.
type EachNote<'a> = &'a mut dyn FnMut(u32, &[u8], &[u8]) -> Option<()>;

impl Image<'_> {
    /// Writes as much as there is room for; how long the whole file is, with zeros at its end that aren't written.
    pub(super) fn write(&self, file: &File) -> Option<u64> {
        let mut out = Out {
            file,
            task: self.task,
            left: self.subject.limit,
            at: 0,
            chunk: Vec::new(),
        };
        out.chunk.try_reserve_exact(CHUNK).ok()?;
        let done = self.put(&mut out);
        out.flush()?;
        done
    }

    fn put(&self, out: &mut Out<'_>) -> Option<u64> {
        let mut notes = 0;
        self.notes(&mut |_, what, more| {
            notes += coredump::note_size(what.len() + more.len());
            Some(())
        })?;
        let segments = &self.map.segments;
        let count = segments.len() + 1;
        let notes_at = HEADER + PROGRAM_HEADER * count;
        let start = u64_of((notes_at + notes).next_multiple_of(PAGE));
        out.put_words(&coredump::header(count))?;
        out.put_words(&coredump::notes_header(u64_of(notes_at), u64_of(notes)))?;
        let mut end = start;
        for segment in segments {
            out.put_words(&segment.header(end))?;
            end += segment.stored;
        }
        self.notes(&mut |kind, what, more| {
            let len = what.len() + more.len();
            out.put(&coredump::note_header(kind, len))?;
            out.put(what)?;
            out.put(more)?;
            out.put([0; 4].get(..len.next_multiple_of(4) - len)?)
        })?;
        let mut at = start;
        for segment in segments {
            self.put_memory(out, segment, at)?;
            at += segment.stored;
        }
        Some(end)
    }

    /// The notes in Linux's order: the thread that the signal ended comes first.
    fn notes(&self, each: EachNote<'_>) -> Option<()> {
        self.thread_notes(self.task, each)?;
        let others = self.tasks.iter();
        for other in others.filter(|other| !Arc::ptr_eq(other, self.task)) {
            self.thread_notes(other, each)?;
        }
        Some(())
    }

    /// Those of a thread.
    fn thread_notes(&self, task: &Arc<Task>, each: EachNote<'_>) -> Option<()> {
        let (registers, fpu) = ptrace::left_registers(task)?;
        let masks = {
            let signals = task.signals.lock();
            [signals.pending.set().bits(), signals.blocked.bits()]
        };
        let children = self.task.process().children_usage();
        let (user, system) = task.thread()?.cpu_times();
        let thread = Thread {
            tid: task.tid(),
            masks,
            times: [user, system, children.user_ns, children.system_ns],
            registers,
        };
        each(coredump::NT_PRSTATUS, &self.subject.status(&thread), &[])?;
        if Arc::ptr_eq(task, self.task) {
            let CoreMap { files, names, .. } = &self.map;
            each(coredump::NT_PRPSINFO, &self.subject.process(), &[])?;
            each(coredump::NT_SIGINFO, &self.info.encode(), &[])?;
            each(coredump::NT_AUXV, &self.space.info().auxv, &[])?;
            if !files.is_empty() {
                each(coredump::NT_FILE, files.as_flattened(), names)?;
            }
        }
        each(coredump::NT_PRFPREG, fpu.get(..FXSAVE)?, &[])?;
        if fpu.len() > FXSAVE {
            each(coredump::NT_X86_XSTATE, &fpu, &[])?;
        }
        Some(())
    }

    /// A segment's memory, at its place in the file. Pages that nobody has touched, that can't be had, and of zeros are left out.
    fn put_memory(&self, out: &mut Out<'_>, segment: &Segment, at: u64) -> Option<()> {
        let page = u64_of(PAGE);
        let mut known = Vec::new();
        known.try_reserve_exact(PAGES).ok()?;
        known.resize(PAGES, 0);
        let mut offset = 0;
        while offset < segment.stored {
            if segment.fresh {
                // What was never there isn't made for this.
                let first = (segment.start + offset) / page;
                self.space.page_words(first, false, &mut known);
            }
            for word in &known {
                if offset < segment.stored && (*word != 0 || !segment.fresh) {
                    let from = UserAddr::new(segment.start + offset);
                    out.put_page(at + offset, |bytes| self.space.peek_forced(bytes, from))?;
                }
                offset += page;
            }
            sched::resched();
            out.go_on()?;
        }
        Some(())
    }
}

/// The file, and what is about to be written to it.
struct Out<'a> {
    file: &'a File,
    task: &'a Task,
    /// How much more may be written.
    left: u64,
    /// Where the chunk's place is.
    at: u64,
    chunk: Vec<u8>,
}

impl Out<'_> {
    /// Writes from where it is.
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        for part in bytes.chunks(CHUNK) {
            self.make_room(part.len())?;
            self.chunk.extend_from_slice(part);
        }
        Some(())
    }

    fn put_words(&mut self, words: &[u64]) -> Option<()> {
        words
            .iter()
            .try_for_each(|word| self.put(&word.to_le_bytes()))
    }

    /// Writes a page to a place, unless `fill` gives none, or zeros.
    fn put_page(&mut self, at: u64, fill: impl FnOnce(&mut [u8]) -> usize) -> Option<()> {
        if at != self.at + u64_of(self.chunk.len()) {
            self.flush()?;
            self.at = at;
        }
        self.make_room(PAGE)?;
        let start = self.chunk.len();
        self.chunk.resize(start + PAGE, 0);
        let page = self.chunk.get_mut(start..)?;
        if fill(page) < PAGE || page.iter().all(|byte| *byte == 0) {
            self.chunk.truncate(start);
            self.left += u64_of(PAGE);
        }
        Some(())
    }

    /// So many bytes more are to be written, and fit into the chunk.
    fn make_room(&mut self, len: usize) -> Option<()> {
        if self.chunk.len() + len > CHUNK {
            self.flush()?;
        }
        self.left = self.left.checked_sub(u64_of(len))?;
        Some(())
    }

    fn flush(&mut self) -> Option<()> {
        let mut rest = &*self.chunk;
        while !rest.is_empty() {
            self.go_on()?;
            let written = self.file.write_at(&mut IoSrc::kernel(rest), self.at).ok()?;
            rest = rest.get(written..).filter(|_| written > 0)?;
            self.at += u64_of(written);
        }
        self.chunk.clear();
        Some(())
    }

    /// Unless the process was killed.
    fn go_on(&self) -> Option<()> {
        (!self.task.is_ending()).then_some(())
    }
}
