//! The end of a kernel that failed: one status record on the debug console, one report on the
//! serial line if messages are on, and the debug exit.
//!
//! Addresses go out raw; the launcher finds the names in the ELF's symbol table.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use kiln_core::num::low32;

use crate::arch::tables::IST_NAMES;
use crate::arch::trap::Fatal;
use crate::arch::{self, DebugExit};
use crate::drivers::{debugcon, serial};
use crate::mm::stack::{self, Bounds, Place};
use crate::sched;
use crate::sync::SpinLock;

mod backtrace;

use backtrace::{Caller, callers};

/// Slot of the stack on which the kernel goes on after boot.
const BOOT_SLOT: u32 = low32(IST_NAMES.len() as u64);

/// A line under construction; what doesn't fit is cut off.
struct Line {
    bytes: [u8; 3072],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        for (slot, byte) in room.iter_mut().zip(text.bytes()) {
            *slot = byte;
            self.len += 1;
        }
        Ok(())
    }
}

/// Text within a JSON string.
struct Escaped<'a>(&'a mut Line);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            match char {
                '"' | '\\' => write!(self.0, "\\{char}")?,
                ' '..='\u{7E}' => self.0.write_char(char)?,
                _ => write!(self.0, "\\u{:04x}", u32::from(char).min(0xFFFF))?,
            }
        }
        Ok(())
    }
}

/// Held for good by the first to report; whoever comes second failed while reporting.
static LINE: SpinLock<Line> = SpinLock::new(Line {
    bytes: [0; 3072],
    len: 0,
});

/// Where it happened, as far as that is known.
#[derive(Clone, Copy)]
struct Site {
    rip: u64,
    rsp: u64,
    fault: Option<Fatal>,
}

/// Makes fatal exceptions come here.
pub(crate) fn init() {
    arch::trap::on_fatal(fatal);
}

/// Ends the VM because it can't be started: one line says why.
pub(crate) fn refuse(why: fmt::Arguments<'_>) -> ! {
    serial::enable();
    report(why, None)
}

fn fatal(fault: &Fatal) -> ! {
    let Fatal { rip, rsp, .. } = *fault;
    let site = Site {
        rip,
        rsp,
        fault: Some(*fault),
    };
    report(format_args!("{}", Described(fault)), Some(site))
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (rip, rsp) = arch::cpu::here();
    let site = Site {
        rip,
        rsp,
        fault: None,
    };
    match info.location() {
        Some(at) => report(format_args!("{} at {at}", info.message()), Some(site)),
        None => report(format_args!("{}", info.message()), Some(site)),
    }
}

/// A fatal exception in words.
struct Described<'a>(&'a Fatal);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = self.0;
        let mode = if fault.user {
            "user mode"
        } else {
            "the kernel"
        };
        if fault.vector == arch::tables::vector::PF {
            if let Some(Place::Guard(slot)) = stack::locate(fault.cr2) {
                return write!(f, "kernel stack overflow: {}", StackName(slot));
            }
            let what = match fault.error {
                error if error & 0x10 != 0 => "executing",
                error if error & 2 != 0 => "writing",
                _ => "reading",
            };
            return write!(f, "page fault (#PF) in {mode} {what} {:#x}", fault.cr2);
        }
        let (name, mnemonic) = vector_name(fault.vector);
        write!(
            f,
            "{name} ({mnemonic}) in {mode}, error code {:#x}",
            fault.error
        )
    }
}

/// Says on the serial line where each of the first stacks and its guards are.
pub(crate) fn list_stacks() {
    for slot in (0..=BOOT_SLOT).filter(|_| serial::enabled()) {
        let Bounds { guard, bottom, end } = Bounds::of(slot);
        let above = Bounds::of(slot + 1).bottom;
        let _ = writeln!(
            serial::Serial,
            "kiln: {}: {bottom:#x}..{end:#x}, guards {guard:#x}..{bottom:#x} and {end:#x}..{above:#x}",
            StackName(slot)
        );
    }
}

/// The name of the stack in a slot.
struct StackName(u32);

impl fmt::Display for StackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match IST_NAMES.get(kiln_core::num::usize_of32(self.0)) {
            Some(name) => write!(f, "{name} stack"),
            None if self.0 == BOOT_SLOT => write!(f, "boot thread's stack"),
            None => write!(f, "thread stack {}", self.0),
        }
    }
}

/// Name and mnemonic of an exception (Intel SDM volume 3, table 6-1).
fn vector_name(vector: u8) -> (&'static str, &'static str) {
    const NAMES: [(&str, &str); 22] = [
        ("divide error", "#DE"),
        ("debug exception", "#DB"),
        ("non-maskable interrupt", "NMI"),
        ("breakpoint", "#BP"),
        ("overflow", "#OF"),
        ("bound range exceeded", "#BR"),
        ("invalid opcode", "#UD"),
        ("device not available", "#NM"),
        ("double fault", "#DF"),
        ("coprocessor overrun", "9"),
        ("invalid TSS", "#TS"),
        ("segment not present", "#NP"),
        ("stack-segment fault", "#SS"),
        ("general protection fault", "#GP"),
        ("page fault", "#PF"),
        ("reserved exception", "15"),
        ("x87 error", "#MF"),
        ("alignment check", "#AC"),
        ("machine check", "#MC"),
        ("SIMD error", "#XM"),
        ("virtualization exception", "#VE"),
        ("control protection", "#CP"),
    ];
    NAMES
        .get(usize::from(vector))
        .copied()
        .unwrap_or(("unexpected vector", "?"))
}

/// Reports `reason` and ends the VM.
fn report(reason: fmt::Arguments<'_>, site: Option<Site>) -> ! {
    x86_64::instructions::interrupts::disable();
    if let Some(mut line) = LINE.try_lock() {
        if serial::enabled() {
            let _ = print(reason, site);
        }
        let _ = record(&mut line, reason, site);
        debugcon::write(line.bytes.get(..line.len).unwrap_or_default());
        core::mem::forget(line);
    } else {
        debugcon::write(
            b"{\"kiln\":1,\"status\":\"panic\",\"reason\":\"failed while reporting\"}\n",
        );
    }
    arch::exit(DebugExit::KernelFailure)
}

/// The report for people.
fn print(reason: fmt::Arguments<'_>, site: Option<Site>) -> fmt::Result {
    let out = &mut serial::Serial;
    writeln!(out, "kiln: {reason}")?;
    let Some(site) = site else { return Ok(()) };
    if let Some(fault) = site.fault {
        let Fatal {
            vector,
            error,
            rip,
            rsp,
            cr2,
            ..
        } = fault;
        writeln!(out, "kiln:   vector {vector} error {error:#x} cr2 {cr2:#x}")?;
        writeln!(out, "kiln:   rip {rip:#x} rsp {rsp:#x}")?;
        if let Some(Place::Stack(slot)) = stack::locate(rsp) {
            writeln!(out, "kiln:   on the {}", StackName(slot))?;
        }
    }
    write!(out, "kiln:   thread ")?;
    thread_name(|char| out.write_char(char))?;
    out.write_char('\n')?;
    writeln!(out, "kiln:   at {:#x}", site.rip)?;
    for Caller { address, .. } in callers(site.rsp) {
        writeln!(out, "kiln:   perhaps from {address:#x}")?;
    }
    Ok(())
}

/// The status record for the launcher.
fn record(line: &mut Line, reason: fmt::Arguments<'_>, site: Option<Site>) -> fmt::Result {
    line.write_str("{\"kiln\":1,\"status\":\"panic\",\"reason\":\"")?;
    write!(Escaped(line), "{reason}")?;
    line.write_char('"')?;
    if let Some(site) = site {
        if let Some(fault) = site.fault {
            write!(line, ",\"vector\":{}", fault.vector)?;
            write!(line, ",\"cr2\":\"{:#x}\"", fault.cr2)?;
        }
        line.write_str(",\"thread\":\"")?;
        let mut name = Escaped(line);
        thread_name(|char| name.write_char(char))?;
        line.write_char('"')?;
        let Site { rip, rsp, .. } = site;
        write!(
            line,
            ",\"rip\":\"{rip:#x}\",\"rsp\":\"{rsp:#x}\",\"callers\":["
        )?;
        // The line must come to its end.
        let full = line.bytes.len() - 64;
        for (index, Caller { place, address }) in callers(rsp).enumerate() {
            if line.len < full {
                let comma = if index == 0 { "" } else { "," };
                write!(
                    line,
                    "{comma}[\"{:#x}\",\"{address:#x}\"]",
                    place.wrapping_sub(rsp)
                )?;
            }
        }
        line.write_char(']')?;
    }
    line.write_str("}\n")
}

/// The running thread's name, as far as it is known, character by character.
fn thread_name(mut put: impl FnMut(char) -> fmt::Result) -> fmt::Result {
    let name = sched::running_name().unwrap_or_default();
    name.iter()
        .take_while(|byte| **byte != 0)
        .try_for_each(|byte| put(char::from(*byte)))
}
