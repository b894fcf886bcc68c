//! Tests of the `vm` room: spaces and their pages, files and their pages, memory running short.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::abi;
use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::num::{low8, u64_of, usize_of};
use kiln_core::vma::Prot;

use crate::mm::frame::{self, FrameRef};
use crate::sched;
use crate::sync::SpinLock;
use crate::vm::{
    Access, AddressSpace, FaultError, FileMapping, IoDst, IoSrc, MapRequest, Mapping, PageSource,
    writeback,
};

pub(super) const PAGE: u64 = PAGE_SIZE as u64;
const RW: Prot = Prot::READ.union(Prot::WRITE);

/// A file whose bytes are computed, and that remembers what was written to it.
pub(super) struct Tape {
    written: SpinLock<Vec<(u64, u8)>>,
    remember: bool,
}

impl Tape {
    fn byte(page: u64) -> u8 {
        low8(page * 7 + 1)
    }
}

impl PageSource for Tape {
    fn read_pages(&self, first: u64, frames: &[FrameRef]) -> Result<(), Errno> {
        for (page, frame) in (first..).zip(frames) {
            let bytes = [Self::byte(page); 256];
            (0..16).for_each(|part| frame.write(part * 256, &bytes));
        }
        Ok(())
    }

    fn write_pages(&self, first: u64, frames: &[FrameRef]) -> Result<(), Errno> {
        if self.remember {
            for (page, frame) in (first..).zip(frames) {
                let mut byte = [0];
                frame.read(5, &mut byte);
                self.written.lock().push((page, byte[0]));
            }
        }
        Ok(())
    }
}

pub(super) fn tape(size: u64, remember: bool) -> (Arc<Tape>, Arc<Mapping>) {
    let mut written = Vec::new();
    assert!(written.try_reserve(100).is_ok());
    let tape = Arc::new(Tape {
        written: SpinLock::new(written),
        remember,
    });
    let Ok(mapping) = Mapping::new(Some(tape.clone()), size) else {
        panic!("no memory")
    };
    (tape, mapping)
}

pub(super) fn must<T, E: core::fmt::Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error:?}"),
    }
}

pub(super) fn anonymous(len: u64, flags: u32) -> MapRequest {
    MapRequest {
        addr: 0,
        len,
        prot: RW,
        flags: flags | abi::MAP_ANONYMOUS,
        file: None,
        offset: 0,
        low: false,
    }
}

pub(super) fn of_file(mapping: &Arc<Mapping>, len: u64, flags: u32) -> MapRequest {
    MapRequest {
        flags,
        file: Some(FileMapping {
            mapping: Ok(Some(mapping.clone())),
            name: None,
            readable: true,
            writable: true,
            no_exec: false,
        }),
        ..anonymous(len, 0)
    }
}

/// Frames in use before and after, the second time the test runs: nothing may be lost.
pub(super) fn spaces() {
    spaces_once();
    must(writeback::sync_everything());
    let before = frame::stats().free;
    spaces_once();
    must(writeback::sync_everything());
    assert_eq!(before, frame::stats().free, "frames were lost");
}

fn spaces_once() {
    private_memory();
    shared_memory();
    errors();
    sched::current().set_root(None);
}

fn read_byte(space: &Arc<AddressSpace>, at: u64) -> u8 {
    must(space.read_val::<u8>(UserAddr::new(at)))
}

fn write_byte(space: &Arc<AddressSpace>, at: u64, byte: u8) {
    must(space.write_val(UserAddr::new(at), &byte));
}

fn private_memory() {
    let space = must(AddressSpace::new());
    sched::current().set_root(Some(space.root()));
    let at = must(space.mmap(anonymous(64 * PAGE, abi::MAP_PRIVATE))).raw();
    (0..64).for_each(|page| write_byte(&space, at + page * PAGE, low8(page)));
    assert_eq!(space.resident_pages(), 64);
    let child = must(space.fork());
    write_byte(&space, at, 100);
    sched::current().set_root(Some(child.root()));
    (0..64).for_each(|page| assert_eq!(read_byte(&child, at + page * PAGE), low8(page)));
    write_byte(&child, at + PAGE, 200);
    sched::current().set_root(Some(space.root()));
    assert_eq!(
        (read_byte(&space, at), read_byte(&space, at + PAGE)),
        (100, 1)
    );
    drop(child);
    // Moved and grown: the pages come along.
    let flags = abi::MREMAP_MAYMOVE;
    let blocker = must(space.mmap(anonymous(PAGE, abi::MAP_PRIVATE))).raw();
    assert_eq!(blocker, at - PAGE, "placed downwards");
    let moved = must(space.mremap(at, 64 * PAGE, 1000 * PAGE, flags, 0, false)).raw();
    assert!(moved != at);
    assert_eq!(read_byte(&space, moved + 63 * PAGE), 63);
    assert_eq!(read_byte(&space, moved + 999 * PAGE), 0);
    assert_eq!(
        space.fault(UserAddr::new(at), Access::Read),
        Err(FaultError::Maperr)
    );
    // A hole, and rights.
    must(space.munmap(moved + PAGE, PAGE));
    assert_eq!(
        space.read_val::<u8>(UserAddr::new(moved + PAGE)),
        Err(Errno::EFAULT)
    );
    must(space.mprotect(moved + 2 * PAGE, PAGE, abi::PROT_READ));
    assert_eq!(
        space.write_val(UserAddr::new(moved + 2 * PAGE), &1u8),
        Err(Errno::EFAULT)
    );
    must(space.mprotect(moved + 2 * PAGE, PAGE, abi::PROT_NONE));
    assert_eq!(
        space.read_val::<u8>(UserAddr::new(moved + 2 * PAGE)),
        Err(Errno::EFAULT)
    );
    must(space.mprotect(moved + 2 * PAGE, PAGE, abi::PROT_READ | abi::PROT_WRITE));
    assert_eq!(read_byte(&space, moved + 2 * PAGE), 2);
    write_byte(&space, moved + 2 * PAGE, 3);
    must(space.madvise(moved + 2 * PAGE, PAGE, abi::MADV_DONTNEED));
    assert_eq!(read_byte(&space, moved + 2 * PAGE), 0);
    let text = must(space.maps());
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 2);
}

fn shared_memory() {
    let (tape, mapping) = tape(10 * PAGE + 100, true);
    let space = must(AddressSpace::new());
    sched::current().set_root(Some(space.root()));
    let shared = must(space.mmap(of_file(&mapping, 20 * PAGE, abi::MAP_SHARED))).raw();
    let private = must(space.mmap(of_file(&mapping, 20 * PAGE, abi::MAP_PRIVATE))).raw();
    assert_eq!(read_byte(&space, shared + 3 * PAGE), Tape::byte(3));
    write_byte(&space, private + 3 * PAGE + 5, 1);
    assert_eq!(read_byte(&space, shared + 3 * PAGE + 5), Tape::byte(3));
    let child = must(space.fork());
    write_byte(&space, shared + 3 * PAGE + 5, 9);
    sched::current().set_root(Some(child.root()));
    assert_eq!(read_byte(&child, shared + 3 * PAGE + 5), 9);
    assert_eq!(mapping.dirty_pages(), 1);
    must(mapping.sync_all());
    assert_eq!(
        (mapping.dirty_pages(), tape.written.lock().pop()),
        (0, Some((3, 9)))
    );
    // Written again after it was cleaned: seen again.
    write_byte(&child, shared + 3 * PAGE + 5, 10);
    write_byte(&child, shared + 4 * PAGE + 5, 11);
    must(child.msync(shared, 20 * PAGE, abi::MS_SYNC));
    let mut written = tape.written.lock();
    assert_eq!(
        (written.pop(), written.pop()),
        (Some((4, 11)), Some((3, 10)))
    );
    drop(written);
    assert_eq!(
        child.fault(UserAddr::new(shared + 11 * PAGE), Access::Read),
        Err(FaultError::BusAdrerr)
    );
    // Shorter: gone from both spaces, and the tail is zeros.
    must(mapping.truncate(2 * PAGE + 6));
    for space in [&child, &space] {
        sched::current().set_root(Some(space.root()));
        assert_eq!(
            space.read_val::<u8>(UserAddr::new(shared + 3 * PAGE)),
            Err(Errno::EFAULT)
        );
        assert_eq!(
            space.read_val::<u8>(UserAddr::new(private + 3 * PAGE)),
            Err(Errno::EFAULT)
        );
        assert_eq!(read_byte(space, shared + 2 * PAGE + 5), Tape::byte(2));
        assert_eq!(read_byte(space, shared + 2 * PAGE + 6), 0);
    }
    let mut back = [1; 10];
    let got = mapping.read(2 * PAGE, &mut IoDst::kernel(&mut back));
    assert_eq!((got, back[5], back[6]), (Ok(6), Tape::byte(2), 1));
    writes(&mapping, &space);
}

fn writes(mapping: &Arc<Mapping>, space: &Arc<AddressSpace>) {
    let buffer = must(space.mmap(anonymous(3 * PAGE, abi::MAP_PRIVATE))).raw();
    write_byte(space, buffer + PAGE, 77);
    must(space.munmap(buffer + 2 * PAGE, PAGE));
    // From page 4 on: a page of zeros, one that starts with 77, and then memory ends.
    let mut src = IoSrc::user_buf(space, UserAddr::new(buffer), 3 * PAGE_SIZE);
    assert_eq!(mapping.write(4 * PAGE + 100, &mut src), Ok(2 * PAGE_SIZE));
    assert_eq!(mapping.size(), 6 * PAGE + 100);
    let mut dst = IoDst::user_buf(space, UserAddr::new(buffer), 200);
    assert_eq!(mapping.read(5 * PAGE, &mut dst), Ok(200));
    assert_eq!(
        (
            read_byte(space, buffer + 99),
            read_byte(space, buffer + 100)
        ),
        (0, 77)
    );
    let mut src = IoSrc::user_buf(space, UserAddr::new(buffer + 2 * PAGE), 1);
    assert_eq!(mapping.write(0, &mut src), Err(Errno::EFAULT));
    must(mapping.sync_all());
    assert_eq!(writeback::dirty_pages(), 0);
}

fn errors() {
    let space = must(AddressSpace::new());
    let bad = |change: fn(&mut MapRequest), error| {
        let mut request = anonymous(PAGE, abi::MAP_PRIVATE);
        change(&mut request);
        assert_eq!(space.mmap(request), Err(error));
    };
    bad(|r| r.len = 0, Errno::EINVAL);
    bad(|r| r.len = u64::MAX, Errno::ENOMEM);
    bad(|r| r.len = 1 << 47, Errno::ENOMEM);
    bad(|r| r.flags = abi::MAP_ANONYMOUS, Errno::EINVAL);
    bad(
        |r| (r.flags, r.addr) = (r.flags | abi::MAP_FIXED, 0x12345),
        Errno::EINVAL,
    );
    bad(
        |r| (r.flags, r.addr) = (r.flags | abi::MAP_FIXED, 0x1000),
        Errno::EPERM,
    );
    bad(
        |r| (r.flags, r.addr) = (r.flags | abi::MAP_FIXED, 0x7FFF_FFFF_F000),
        Errno::ENOMEM,
    );
    let at = must(space.mmap(anonymous(4 * PAGE, abi::MAP_PRIVATE))).raw();
    let mut again = anonymous(PAGE, abi::MAP_PRIVATE | abi::MAP_FIXED_NOREPLACE);
    again.addr = at + PAGE;
    assert_eq!(space.mmap(again), Err(Errno::EEXIST));
    assert_eq!(space.munmap(at + 1, PAGE), Err(Errno::EINVAL));
    assert_eq!(space.munmap(at, 0), Err(Errno::EINVAL));
    assert_eq!(space.munmap(at - 100 * PAGE, PAGE), Ok(()));
    assert_eq!(space.mprotect(at, 5 * PAGE, 0), Err(Errno::ENOMEM));
    assert_eq!(space.mprotect(at, PAGE, 64), Err(Errno::EINVAL));
    assert_eq!(space.madvise(at, PAGE, 999), Err(Errno::EINVAL));
    assert_eq!(
        space.madvise(at, 5 * PAGE, abi::MADV_DONTNEED),
        Err(Errno::ENOMEM)
    );
    assert_eq!(space.mremap(at, PAGE, 0, 0, 0, false), Err(Errno::EINVAL));
    assert_eq!(
        space.mremap(at, 4 * PAGE, u64::MAX, abi::MREMAP_MAYMOVE, 0, false),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        space.mremap(at + 9 * PAGE, PAGE, PAGE, 0, 0, false),
        Err(Errno::EFAULT)
    );
    assert_eq!(space.brk(0), 0);
}

/// A file four times as large as memory is read and written; pages go as others come.
pub(super) fn reclaim() {
    let size = u64_of(frame::stats().total) * PAGE * 4;
    let (_, mapping) = tape(size, false);
    let mut buffer = Vec::new();
    assert!(buffer.try_reserve_exact(1 << 16).is_ok());
    buffer.resize(1 << 16, 0);
    let mut pos = 0;
    while pos < size {
        let got = must(mapping.read(pos, &mut IoDst::kernel(&mut buffer)));
        let bytes = buffer.get(..got).unwrap_or_default();
        for (page, bytes) in (pos / PAGE..).zip(bytes.chunks(PAGE_SIZE)) {
            assert_eq!(bytes.get(usize_of(page % PAGE)), Some(&Tape::byte(page)));
        }
        pos += u64_of(got);
    }
    let mut pos = 0;
    while pos < size {
        pos += u64_of(must(mapping.write(pos, &mut IoSrc::kernel(&buffer))));
    }
    must(mapping.sync_all());
    assert_eq!(mapping.dirty_pages(), 0);
    let kept = mapping.resident_pages();
    assert!(kept > frame::stats().total / 2, "{kept} pages are kept");
    mapped_pages_go(&mapping, size);
    drop(mapping);
    // Memory ends, and that is all that happens.
    let space = must(AddressSpace::new());
    sched::current().set_root(Some(space.root()));
    let len = u64_of(frame::stats().total) * PAGE;
    let mut request = anonymous(len, abi::MAP_PRIVATE | abi::MAP_NORESERVE);
    request.len = len;
    let at = must(space.mmap(request)).raw();
    let mut page = at;
    let end = loop {
        match space.fault(UserAddr::new(page), Access::Write) {
            Ok(()) => page += PAGE,
            Err(error) => break error,
        }
    };
    assert_eq!(end, FaultError::Oom);
    assert!(space.resident_pages() > u64_of(frame::stats().total) * 9 / 10);
    assert!(space.fork().is_err());
    sched::current().set_root(None);
}

/// The same file through a mapping: pages that a program maps go, too.
fn mapped_pages_go(mapping: &Arc<Mapping>, size: u64) {
    let space = must(AddressSpace::new());
    sched::current().set_root(Some(space.root()));
    let private = must(space.mmap(of_file(
        mapping,
        size,
        abi::MAP_PRIVATE | abi::MAP_NORESERVE,
    )))
    .raw();
    write_byte(&space, private + 9, 99);
    let at = must(space.mmap(of_file(mapping, size, abi::MAP_SHARED))).raw();
    let mut sum = 0u64;
    for page in 0..size / PAGE {
        sum += u64::from(read_byte(&space, at + page * PAGE));
    }
    assert!(sum > 0);
    assert_eq!(read_byte(&space, private + 9), 99, "a private copy stays");
    let written = size / PAGE / 8;
    for page in 0..written {
        write_byte(&space, at + page * 8 * PAGE, low8(page));
    }
    must(mapping.sync_all());
    assert_eq!(mapping.dirty_pages(), 0);
    sched::current().set_root(None);
}
