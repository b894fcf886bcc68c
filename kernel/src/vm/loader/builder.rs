//! The work on the space of a new program: its segments, heap and stack.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use kiln_core::addr::{PAGE_SIZE, TASK_SIZE, UserAddr};
use kiln_core::auxv::{self, AuxInfo, InitialStack};
use kiln_core::elf::{Image, Kind, Segment};
use kiln_core::errno::Errno;
use kiln_core::num::{align_down, usize_of};
use kiln_core::vma::{AreaFlags, Prot};

use super::super::area::{MappedFile, Object, VmArea};
use super::super::fault::page_flags;
use super::super::map::Removed;
use super::super::place::find_gap;
use super::super::reclaim::{alloc_frame, alloc_zeroed_frame, wait_for_memory};
use super::super::space::{AddressSpace, Areas, MIN_ADDR, PAGE, ProgramInfo, STACK_GAP, errno};
use super::super::vdso;
use super::{LoadError, Planned, Program};
use crate::mm::frame::FrameRef;
use crate::mm::kmem;
use crate::mm::paging::Gather;

/// Where position-independent programs with an interpreter begin (`ELF_ET_DYN_BASE`).
const DYN_BASE: u64 = TASK_SIZE / 3 * 2;
/// Bytes of stack that are there from the start, below what the kernel put on it.
const STACK_ROOM: u64 = 128 << 10;
/// Random bits: pages of the stack's top, of the mappings' top; bytes of the heap's start.
const STACK_RANDOM: u64 = 0x3F_FFFF;
const MAP_RANDOM: u64 = (1 << 28) - 1;
const BRK_RANDOM: u64 = 0x200_0000;

/// A mapping couldn't be made where the image wants it: too late for an error on Linux.
fn too_late(error: Errno) -> LoadError {
    LoadError {
        errno: error,
        fatal: error != Errno::ENOMEM,
    }
}

/// The work on a new space.
pub(super) struct Builder<'a> {
    pub(super) space: &'a Arc<AddressSpace>,
    pub(super) program: &'a Program<'a>,
}

impl Builder<'_> {
    /// A random number below `limit + 1` (one less than a power of two), or 0.
    fn random(&self, which: usize, limit: u64) -> u64 {
        let words = self
            .program
            .random
            .get(which)
            .filter(|_| self.program.randomize);
        words.map_or(0, |word| word & limit)
    }

    pub(super) fn build(
        &self,
        main: &Planned,
        interp: Option<&Planned>,
    ) -> Result<(u64, u64), LoadError> {
        let mut areas = self.space.write_areas();
        let top = TASK_SIZE - self.random(0, STACK_RANDOM) * PAGE;
        areas.mmap_top = self.mmap_top();
        let bias = match (main.image.kind, interp) {
            (Kind::Fixed, _) => 0,
            (Kind::Relocatable, Some(_)) => self.dyn_bias(&main.image),
            (Kind::Relocatable, None) => free_bias(&mut areas, &main.image)?,
        };
        self.map_image(&mut areas, main, bias)?;
        let mut entry = main.image.entry.wrapping_add(bias);
        let mut base = 0;
        if let Some(interp) = interp {
            if interp.image.kind == Kind::Relocatable {
                base = free_bias(&mut areas, &interp.image)?;
            }
            self.map_image(&mut areas, interp, base)?;
            entry = interp.image.entry.wrapping_add(base);
        }
        self.set_brk(&mut areas, &main.image, bias, interp.is_some());
        let vdso = vdso::map(&mut areas, top, self.random(3, u64::MAX) >> 32)?;
        // Every dynamic linker and C library reads it at once.
        let prot = Prot::READ | Prot::EXEC;
        self.put_page(vdso, vdso::Special::Vdso.frame()?, prot)?;
        let stack = self.stack_bytes(main, [bias, base, vdso], top)?;
        self.map_stack(&mut areas, &stack, top, main.image.exec_stack)?;
        self.describe(main, bias, &stack)?;
        self.space.note_peak(&areas);
        Ok((entry, stack.pointer))
    }

    /// Below this address mappings are placed: the stack can grow to its limit above it.
    fn mmap_top(&self) -> u64 {
        let shift = if self.program.randomize {
            STACK_RANDOM * PAGE
        } else {
            0
        };
        let gap = self.program.limits.stack.saturating_add(shift + STACK_GAP);
        let gap = gap.clamp(128 << 20, TASK_SIZE / 6 * 5);
        align_down(TASK_SIZE - gap - self.random(1, MAP_RANDOM) * PAGE, PAGE)
    }

    fn dyn_bias(&self, image: &Image) -> u64 {
        let base = DYN_BASE + self.random(2, MAP_RANDOM) * PAGE;
        align_down(align_down(base, image.align) - image.span.start, PAGE)
    }

    fn map_image(&self, areas: &mut Areas, planned: &Planned, bias: u64) -> Result<(), LoadError> {
        // Apart, because a child needs no page tables for what nobody writes to.
        let (constant, variable) = (self.link(planned)?, self.link(planned)?);
        for segment in &planned.image.segments {
            let low = segment
                .file
                .start
                .min(segment.zero.start)
                .saturating_add(bias);
            let high = segment.file.end.max(segment.zero.end).saturating_add(bias);
            if low < MIN_ADDR || high > TASK_SIZE {
                return Err(too_late(Errno::EPERM));
            }
            let writable = segment.prot.contains(Prot::WRITE);
            let file = if writable { &variable } else { &constant };
            self.map_segment(areas, segment, bias, file)
                .map_err(too_late)?;
        }
        Ok(())
    }

    fn link(&self, planned: &Planned) -> Result<Arc<MappedFile>, Errno> {
        let (mapping, name) = (planned.mapping.clone(), planned.name.clone());
        MappedFile::new(self.space, mapping, name, false)
    }

    fn map_segment(
        &self,
        areas: &mut Areas,
        segment: &Segment,
        bias: u64,
        file: &Arc<MappedFile>,
    ) -> Result<(), Errno> {
        let shifted = |range: &Range<u64>| range.start + bias..range.end + bias;
        let backing = Object::File {
            file: file.clone(),
            offset: segment.offset,
        };
        self.put_area(areas, shifted(&segment.file), segment.prot, backing)?;
        self.put_area(
            areas,
            shifted(&segment.zero),
            segment.prot,
            Object::Anonymous,
        )?;
        match segment.zero_from {
            // What can't be written keeps the file's bytes, as on Linux.
            Some(from) if segment.prot.contains(Prot::WRITE) => {
                let page = align_down(from, PAGE);
                let index = (segment.offset + (page - segment.file.start)) / PAGE;
                self.put_partial_page(file, index, from + bias, segment.prot)
            }
            _ => Ok(()),
        }
    }

    fn put_area(
        &self,
        areas: &mut Areas,
        range: Range<u64>,
        prot: Prot,
        backing: Object,
    ) -> Result<(), Errno> {
        if range.is_empty() {
            return Ok(());
        }
        let mut removed = Removed::default();
        self.space.unmap_locked(areas, &range, &mut removed)?;
        let area = VmArea {
            start: range.start,
            end: range.end,
            prot,
            flags: AreaFlags::MAY_WRITE | AreaFlags::MAY_EXEC,
            backing,
        };
        areas.map.insert(area).map_err(errno)
    }

    /// The page in which the file's part of a segment ends: the file's bytes, then zeros.
    fn put_partial_page(
        &self,
        file: &MappedFile,
        index: u64,
        zero_from: u64,
        prot: Prot,
    ) -> Result<(), Errno> {
        let source = file.mapping.page(index)?;
        file.note_copy();
        let copy = alloc_frame()?;
        copy.copy_from(&source);
        let offset = usize_of(zero_from % PAGE);
        copy.zero(offset, PAGE_SIZE - offset);
        self.put_page(align_down(zero_from, PAGE), copy, prot)
    }

    fn put_page(&self, addr: u64, frame: FrameRef, prot: Prot) -> Result<(), Errno> {
        let va = UserAddr::new(addr);
        let flags = page_flags(prot, true);
        // A segment may overlay another one's page.
        let mut gather = Gather::new();
        let end = UserAddr::new(addr + PAGE);
        self.space.tables.lock().unmap_range(va, end, &mut gather);
        loop {
            let mut tables = self.space.tables.lock();
            let mapped = tables.map(va, frame.clone(), flags, &mut gather);
            drop(tables);
            match mapped {
                Ok(()) => return Ok(()),
                Err(_) if wait_for_memory() => {}
                Err(_) => return Err(Errno::ENOMEM),
            }
        }
    }

    fn set_brk(&self, areas: &mut Areas, image: &Image, bias: u64, has_interp: bool) {
        // A static program at a random place would otherwise have its heap among the mappings.
        let alone = image.kind == Kind::Relocatable && !has_interp;
        let start = if alone {
            align_down(DYN_BASE, PAGE)
        } else {
            image.brk + bias
        };
        let start = start + align_down(self.random(3, BRK_RANDOM - 1), PAGE);
        areas.brk_start = start;
        areas.brk = start;
    }

    fn stack_bytes(
        &self,
        main: &Planned,
        [bias, base, vdso]: [u64; 3],
        top: u64,
    ) -> Result<InitialStack<'_>, LoadError> {
        let program = self.program;
        let image = &main.image;
        let [hwcap, hwcap2] = program.hwcap;
        let loaded = image.table_addr != 0;
        let aux = AuxInfo {
            vdso,
            hwcap,
            hwcap2,
            min_signal_stack: program.min_signal_stack,
            phdr: if loaded {
                image.table_addr.wrapping_add(bias)
            } else {
                0
            },
            phnum: u64::from(image.table_count),
            base,
            entry: image.entry.wrapping_add(bias),
            ids: program.ids,
            secure: program.secure,
        };
        let [.., low, high] = program.random;
        let random = u128::from(low) | u128::from(high) << 64;
        let frame = auxv::Frame {
            top,
            jitter: self.random(0, u64::MAX) >> 40,
            path: program.path,
            random: random.to_le_bytes(),
            aux,
        };
        auxv::build(program.strings, &frame).map_err(|error| Errno::from(error).into())
    }

    fn map_stack(
        &self,
        areas: &mut Areas,
        stack: &InitialStack<'_>,
        top: u64,
        exec: bool,
    ) -> Result<(), LoadError> {
        let mut prot = Prot::READ | Prot::WRITE;
        prot.set(Prot::EXEC, exec);
        let used = align_down(stack.pointer, PAGE);
        let limit = align_down(self.program.limits.stack, PAGE);
        let room = STACK_ROOM.min(limit.saturating_sub(top - used));
        let area = VmArea {
            start: used - room,
            end: top,
            prot,
            flags: AreaFlags::MAY_WRITE | AreaFlags::MAY_EXEC | AreaFlags::GROWS_DOWN,
            backing: Object::Anonymous,
        };
        areas
            .map
            .insert(area)
            .map_err(|error| too_late(errno(error)))?;
        // What lies between is made when it is touched.
        for page in (used..top).step_by(PAGE_SIZE) {
            let mut frame = None;
            for (offset, piece) in stack.pieces(page, PAGE_SIZE) {
                let frame = match &mut frame {
                    Some(frame) => frame,
                    none => none.insert(alloc_zeroed_frame().map_err(Errno::from)?),
                };
                frame.write(offset, piece);
            }
            if let Some(frame) = frame {
                self.put_page(page, frame, prot)?;
            }
        }
        Ok(())
    }

    fn describe(
        &self,
        main: &Planned,
        bias: u64,
        stack: &InitialStack<'_>,
    ) -> Result<(), LoadError> {
        let vector = stack.vector_bytes();
        let mut auxv = Vec::new();
        auxv.try_reserve_exact(vector.len())
            .map_err(|_| Errno::ENOMEM)?;
        auxv.extend_from_slice(vector);
        let shifted = |range: &Range<u64>| (range.start + bias, range.end + bias);
        let [args, env, end] = stack.strings;
        let info = ProgramInfo {
            code: shifted(&main.image.code),
            data: shifted(&main.image.data),
            stack: stack.pointer,
            args: (args, env),
            env: (env, end),
            auxv,
        };
        let _charge = kmem::charge(size_of::<ProgramInfo>() + 16).map_err(Errno::from)?;
        self.space.set_info(Arc::new(info));
        Ok(())
    }
}

/// A load bias at which the whole image has room among the mappings.
fn free_bias(areas: &mut Areas, image: &Image) -> Result<u64, LoadError> {
    let len = image.span.end - image.span.start;
    let start = find_gap(areas, len, image.align, false).ok_or(too_late(Errno::ENOMEM))?;
    Ok(start.wrapping_sub(image.span.start))
}
