//! Kiln's kernel: the boot, told as one list of calls.
//!
//! Rooms, from the top: `main` → `job` → `syscall` → `process` → `fs` + `vm` → `drivers` → `sched` →
//! `mm` → `sync` → `arch`. A room may use those below it, and everything may use `kiln-core`.
#![no_std]
#![no_main]
#![deny(unsafe_code)]
// The lints run with the kernel's tests of itself, so what nobody uses is found there.
#![cfg_attr(
    not(feature = "selftest"),
    allow(
        dead_code,
        unused_imports,
        reason = "some is there for those tests alone"
    )
)]

extern crate alloc;

mod arch;
mod drivers;
mod fs;
mod job;
mod mm;
mod net;
mod options;
mod panic;
mod process;
mod sched;
#[cfg(feature = "selftest")]
mod selftest;
mod sync;
mod syscall;
mod vm;

use pvh::BootInfo;

use arch::{StackTop, apic, cpu, irq, smp};
use kiln_core::addr::{PAGE_SIZE, PhysAddr};
use mm::OutOfMemory;
use mm::boot::BootMemory;
use mm::mmio::Registers;
use mm::stack::KernelStack;
use sync::Once;

pvh::entry!(boot);

/// What the loader handed over.
static BOOT_INFO: Once<BootInfo> = Once::new();

/// Phase one, on the boot stack with interrupts off: as far as stacks with guards.
fn boot(start_info: u64) -> ! {
    arch::init_traps();
    panic::init();
    let info = match BootInfo::read(&BootMemory, start_info) {
        Ok(info) => BOOT_INFO.call_once(|| info),
        Err(error) => panic::refuse(format_args!("can't boot: {error}")),
    };
    options::init(info);
    greet();
    arch::features::init();
    if let Err(error) = mm::boot::init(info) {
        panic::refuse(format_args!("can't boot: memory: {error:?}"));
    }
    match guarded_stacks() {
        Ok((own, stack)) => {
            panic::list_stacks();
            arch::leave_boot_stack(own, stack, main)
        }
        Err(error) => panic::refuse(format_args!("can't boot: stacks: {error:?}")),
    }
}

/// A stack for each exception that needs its own, and the one to go on with.
fn guarded_stacks() -> Result<([StackTop; 6], StackTop), OutOfMemory> {
    let own = || KernelStack::new().map(KernelStack::leak);
    Ok(([own()?, own()?, own()?, own()?, own()?, own()?], own()?))
}

/// Phase two, on a guarded stack.
extern "sysv64" fn main() -> ! {
    mm::boot::release_boot_stack();
    if let Err(error) = clocks() {
        panic::refuse(format_args!("can't boot: clocks: {error:?}"));
    }
    if let Err(error) = sched::init() {
        panic::refuse(format_args!("can't boot: scheduler: {error:?}"));
    }
    vm::init();
    if let Some(fault) = options::get("fault") {
        arch::provoke::provoke(fault, mm::layout::PHYSMAP.wrapping_sub(mm::layout::IMAGE));
        panic::refuse(format_args!("fault=NAME: no fault has that name"));
    }
    apic::settle_clock();
    if let Err(error) = other_cpus() {
        panic::refuse(format_args!("can't boot: CPUs: {error:?}"));
    }
    if let Some(missing) = arch::features::missing() {
        panic::refuse(format_args!(
            "can't run programs: this CPU has no {missing} (try -cpu max)"
        ));
    }
    #[cfg(feature = "selftest")]
    if let Some(test) = options::get("selftest") {
        selftest::run(test);
        arch::exit(arch::DebugExit::JobZero);
    }
    mm::kmem::fail_nth(options::number("failcharge").unwrap_or(0));
    job::run()
}

/// Where the root image lies, and its length: the loader's first module.
fn initrd() -> Option<(PhysAddr, u64)> {
    let module = BOOT_INFO.get()?.modules.as_slice().first()?;
    Some((PhysAddr::new(module.start), module.len()))
}

/// The timer, the clock and the interrupts of devices.
fn clocks() -> Result<(), OutOfMemory> {
    let map = |addr| Registers::map(PhysAddr::new(addr), PAGE_SIZE).map(|mapped| mapped.ptr());
    irq::init(map(irq::IOAPIC_ADDR)?);
    apic::init(if apic::has_msrs() {
        None
    } else {
        Some(map(apic::LAPIC_ADDR)?)
    });
    arch::fpu::learn_mxcsr_bits()
}

/// Starts the other CPUs, if there are any: they come up while the boot goes on.
fn other_cpus() -> Result<(), OutOfMemory> {
    if !smp::may_have_others() {
        return Ok(());
    }
    // What QEMU doesn't tell is one.
    let count = drivers::fw_cfg::cpus().unwrap_or(1).min(cpu::MAX_CPUS_U32);
    match BOOT_INFO.get().and_then(mm::boot::start_page) {
        Some(page) if count > 1 => sched::smp::start(&page, count),
        _ => Ok(()),
    }
}

/// One line, so that whoever looks at the serial line knows who is there.
fn greet() {
    if options::verbose() {
        drivers::serial::enable();
        drivers::serial::write(b"kiln: hello from the Kiln kernel\n");
    }
}
