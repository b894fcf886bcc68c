//! What a program's segment registers hold: selectors, and the bases of FS and GS. The kernel uses none of DS, ES and FS,
//! so they are the running thread's all the time, as the base of GS in `KERNEL_GS_BASE` is; CS and SS are in the
//! [`UserContext`](super::user::UserContext).

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::num::{low16, low32};
use x86_64::VirtAddr;
use x86_64::instructions::interrupts::without_interrupts;
use x86_64::registers::model_specific::KernelGsBase;

/// Bit of a selector: the descriptor is in the program's own table.
const OWN_TABLE: u16 = 1 << 2;

/// The bases of FS and GS, and the selectors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub(crate) struct Segments {
    pub(crate) fs: u64,
    pub(crate) gs: u64,
    pub(crate) selectors: Selectors,
}

/// DS, ES, FS and GS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub(crate) struct Selectors {
    pub(crate) ds: u16,
    pub(crate) es: u16,
    pub(crate) fs: u16,
    pub(crate) gs: u16,
}

/// Loads a segment register, between two of an instruction.
macro_rules! load {
    ($register:literal, $around:literal, $selector:expr) => {
        asm!(
            $around,
            concat!("mov ", $register, ", {null:e}"),
            concat!("2: mov ", $register, ", {selector:e}"),
            "3:",
            $around,
            ".pushsection .ex_table, \"a\", @progbits",
            ".quad 2b, 3b",
            ".popsection",
            null = in(reg) 0_u32,
            selector = in(reg) u32::from($selector),
            out("rax") _,
            out("rdx") _,
            options(nostack),
        )
    };
}

impl Selectors {
    fn get() -> Self {
        let (ds, es, fs, gs): (u32, u32, u32, u32);
        // SAFETY: reads registers.
        unsafe {
            asm!(
                "mov {:e}, ds", "mov {:e}, es", "mov {:e}, fs", "mov {:e}, gs",
                out(reg) ds, out(reg) es, out(reg) fs, out(reg) gs,
                options(nomem, nostack, preserves_flags),
            );
        }
        Self {
            ds: low16(ds.into()),
            es: low16(es.into()),
            fs: low16(fs.into()),
            gs: low16(gs.into()),
        }
    }

    /// Loads them, which changes the bases of FS and GS. What is no segment of a program's becomes 0, as on Linux.
    #[cold]
    fn set(self) {
        // With interrupts off: within, GS is the program's. (Exceptions with stacks of their own don't mind.)
        without_interrupts(|| {
            // SAFETY: the kernel uses no DS, ES and FS; GS is changed while the program's base is in its place, and the
            // kernel's comes back. A selector that the CPU refuses raises #GP or #NP, and stays null.
            unsafe {
                load!("ds", "", self.ds);
                load!("es", "", self.es);
                load!("fs", "", self.fs);
                load!("gs", "swapgs", self.gs);
            }
        });
    }
}

impl Segments {
    /// The running thread's, as its program left them.
    pub(crate) fn get() -> Self {
        let fs;
        // SAFETY: reads a register; FSGSBASE is on, or no program would run.
        unsafe { asm!("rdfsbase {}", out(reg) fs, options(nomem, nostack, preserves_flags)) };
        Self {
            fs,
            gs: KernelGsBase::read().as_u64(),
            selectors: Selectors::get(),
        }
    }

    /// Makes them the running thread's, with the program's own table loaded. What isn't an address becomes one: whoever
    /// takes bases from a program has checked them.
    pub(crate) fn set(self) {
        if Selectors::get() != self.selectors {
            self.selectors.set();
        }
        let fs = VirtAddr::new_truncate(self.fs).as_u64();
        // SAFETY: a canonical address, and the kernel uses no FS.
        unsafe { asm!("wrfsbase {}", in(reg) fs, options(nomem, nostack, preserves_flags)) };
        KernelGsBase::write(VirtAddr::new_truncate(self.gs));
    }
}

/// Loads DS and ES anew where they are from the program's own table, which has changed. (FS and GS count by their bases,
/// which stay.)
pub(crate) fn reload_own() {
    let now = Selectors::get();
    if (now.ds | now.es) & OWN_TABLE != 0 {
        // SAFETY: as in `Selectors::set`.
        unsafe {
            load!("ds", "", now.ds);
            load!("es", "", now.es);
        }
    }
}

/// [`Segments`] of a thread while another one runs.
#[derive(Debug, Default)]
pub(crate) struct SavedSegments {
    fs: AtomicU64,
    gs: AtomicU64,
    selectors: AtomicU64,
}

impl SavedSegments {
    /// Puts them away.
    pub(crate) fn store(&self, segments: Segments) {
        let Selectors { ds, es, fs, gs } = segments.selectors;
        self.fs.store(segments.fs, Ordering::Relaxed);
        self.gs.store(segments.gs, Ordering::Relaxed);
        let [ds, es, fs, gs] = [ds, es, fs, gs].map(u64::from);
        let selectors = ds | es << 16 | fs << 32 | gs << 48;
        self.selectors.store(selectors, Ordering::Relaxed);
    }

    /// What was put away.
    pub(crate) fn load(&self) -> Segments {
        let selectors = self.selectors.load(Ordering::Relaxed);
        Segments {
            fs: self.fs.load(Ordering::Relaxed),
            gs: self.gs.load(Ordering::Relaxed),
            selectors: Selectors {
                ds: low16(selectors),
                es: low16(selectors >> 16),
                fs: low16(selectors >> 32),
                gs: low16(selectors >> 48),
            },
        }
    }
}

/// Access rights as LAR tells them: present, privilege 3, data that can be written.
const STACK: u32 = 0xF200;
/// The bits of these; whether it grows down doesn't matter, nor whether it was accessed.
const STACK_MASK: u32 = 0xFA00;

/// Whether a program's stack may be in this segment.
pub(crate) fn is_stack(selector: u16) -> bool {
    let rights: u64;
    // SAFETY: only looks into the tables. The answer is 0 where the selector names nothing.
    unsafe {
        asm!(
            "xor {rights:e}, {rights:e}",
            "lar {rights:e}, {selector:e}",
            selector = in(reg) u32::from(selector),
            rights = out(reg) rights,
            options(nomem, nostack),
        );
    }
    low32(rights) & STACK_MASK == STACK
}
