//! A whole Linux program, which is the first boot module itself, run with just enough system
//! calls: what it prints goes to the serial line, and its status must be 0.

use alloc::sync::Arc;

use kiln_core::addr::{PAGE_SIZE, PhysAddr, UserAddr};
use kiln_core::auxv::ArgStrings;
use kiln_core::errno::Errno;
use kiln_core::num::u64_of;
use kiln_core::vma::Prot;

use super::vm::must;
use crate::arch::segments::Segments;
use crate::arch::user::{self, Stop, UserContext};
use crate::drivers::serial;
use crate::mm::frame::FrameRef;
use crate::sched;
use crate::vm::loader::{self, ImageFile, Program};
use crate::vm::{Access, AddressSpace, IoDst, MapName, MapRequest, Mapping, MemoryLimits};

/// The boot module as a file whose pages lie where it does.
struct ModuleFile(Arc<Mapping>);

impl ImageFile for ModuleFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        self.0.read(offset, &mut IoDst::kernel(into))
    }

    fn mapping(&self) -> Option<Arc<Mapping>> {
        Some(self.0.clone())
    }

    fn name(&self) -> Option<Arc<dyn MapName>> {
        None
    }
}

fn module_file() -> ModuleFile {
    let modules = crate::BOOT_INFO.get().map(|info| info.modules.as_slice());
    let Some(range) = modules.and_then(|modules| modules.first()) else {
        panic!("no module")
    };
    let mapping = must(Mapping::new(None, range.end - range.start));
    for (index, addr) in (range.start..range.end).step_by(PAGE_SIZE).enumerate() {
        let Some(frame) = FrameRef::boot_module(PhysAddr::new(addr)) else {
            panic!("no frame of the module")
        };
        must(mapping.insert(u64_of(index), frame));
    }
    ModuleFile(mapping)
}

pub(super) fn run() {
    let file = module_file();
    let mut strings = ArgStrings::new(8 << 20, 0);
    for arg in [&b"echo"[..], b"loaded", b"and run"] {
        must(strings.push_arg(arg));
    }
    must(strings.push_env(b"PATH=/bin"));
    let program = Program {
        file: &file,
        path: b"/bin/echo",
        strings: &strings,
        ids: [0; 4],
        secure: false,
        limits: MemoryLimits::default(),
        randomize: true,
        random: [3, 5, 7, 11, 13, 17],
        min_signal_stack: 2048,
        hwcap: [0, 2],
        open_interp: &|_| Err(Errno::ENOENT),
    };
    let loaded = must(loader::load(&program));
    serial::write(&must(loaded.space.maps()));
    sched::current().set_root(Some(loaded.space.root()));
    let mut context = UserContext::new(loaded.entry.raw(), loaded.stack.raw());
    let status = calls(&loaded.space, &mut context);
    assert_eq!(status, 0);
    serial::write(&must(loaded.space.maps()));
    sched::current().set_root(None);
}

/// Serves calls and faults until the program exits; its status.
fn calls(space: &Arc<AddressSpace>, context: &mut UserContext) -> u64 {
    loop {
        match user::run(context) {
            Stop::Syscall if matches!(context.orig_rax, 60 | 231) => return context.rdi,
            Stop::Syscall => {
                context.rax = call(space, context).unwrap_or_else(Errno::to_return);
            }
            Stop::Fault(fault) if fault.vector == 14 => {
                let write = fault.error_code & 2 != 0;
                let access = if write { Access::Write } else { Access::Read };
                let resolved = space.fault(UserAddr::new(fault.addr), access);
                assert_eq!(resolved, Ok(()), "{fault:?} at {:#x}", context.rip);
            }
            Stop::Fault(fault) => panic!("{fault:?} at {:#x}", context.rip),
            Stop::Interrupt | Stop::Served => {}
        }
    }
}

fn call(space: &Arc<AddressSpace>, context: &mut UserContext) -> Result<u64, Errno> {
    let [first, second, third] = [context.rdi, context.rsi, context.rdx];
    match context.orig_rax {
        1 => {
            let mut bytes = [0; 256];
            let len = bytes.len().min(kiln_core::num::usize_of(third));
            let part = bytes.get_mut(..len).unwrap_or_default();
            space.copy_in(part, UserAddr::new(second))?;
            serial::write(part);
            Ok(u64_of(len))
        }
        9 => {
            let request = MapRequest {
                addr: first,
                len: second,
                prot: Prot::from_bits_truncate(kiln_core::num::low32(third)),
                flags: kiln_core::num::low32(context.r10),
                file: None,
                offset: 0,
                low: false,
            };
            space.mmap(request).map(UserAddr::raw)
        }
        10 => space
            .mprotect(first, second, kiln_core::num::low32(third))
            .map(|()| 0),
        11 => space.munmap(first, second).map(|()| 0),
        12 => Ok(space.brk(first)),
        158 => {
            let mut bases = Segments::get();
            bases.fs = second;
            bases.set();
            Ok(0)
        }
        218 => Ok(1),
        _ => Err(Errno::ENOSYS),
    }
}
