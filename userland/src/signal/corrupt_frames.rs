//! rt_sigreturn(2) with a spoilt frame ends at worst this program (SIGSEGV), or the kernel makes
//! it harmless: flags, selectors, addresses, floating-point state.
use super::corrupt::{Spoil, end_with, set, state_long, state_word};
use crate::out::say;
use libc::{REG_CSGSFS, REG_EFL, REG_RIP, REG_RSP};
use std::ffi::CStr;

const CASES: &[(&str, Spoil)] = &[
    ("nothing", |_| {}),
    ("rip 0", |c| set(c, REG_RIP, 0)),
    ("rip not canonical", |c| set(c, REG_RIP, 0x0000_8000_0000_0000)),
    ("rip far not canonical", |c| set(c, REG_RIP, 0xdead_0000_0000_0000)),
    ("rip in the kernel", |c| set(c, REG_RIP, 0xffff_ffff_8000_0000)),
    ("rip at the top", |c| set(c, REG_RIP, u64::MAX)),
    ("rip at the user's last page", |c| set(c, REG_RIP, 0x7fff_ffff_f000)),
    ("rsp 0", |c| set(c, REG_RSP, 0)),
    ("rsp not canonical", |c| set(c, REG_RSP, 0x0000_8000_0000_0000)),
    ("rsp in the kernel", |c| set(c, REG_RSP, 0xffff_ffff_8000_0000)),
    ("cs null", |c| selectors(c, 0, 0x2b)),
    ("cs of the kernel", |c| selectors(c, 0x10, 0x2b)),
    ("cs a data segment", |c| selectors(c, 0x2b, 0x2b)),
    ("cs beyond the table", |c| selectors(c, 0xfff8, 0x2b)),
    ("cs of the TSS", |c| selectors(c, 0x40, 0x2b)),
    ("ss null", |c| selectors(c, 0x33, 0)),
    ("ss of the kernel", |c| selectors(c, 0x33, 0x18)),
    ("ss a code segment", |c| selectors(c, 0x33, 0x33)),
    ("ss beyond the table", |c| selectors(c, 0x33, 0xfff8)),
    ("flags 0", |c| set(c, REG_EFL, 0)),
    ("flags IOPL 3", |c| set(c, REG_EFL, 0x3202)),
    ("flags IF clear", |c| set(c, REG_EFL, 0x2)),
    ("flags NT", |c| set(c, REG_EFL, 0x4202)),
    ("flags VM", |c| set(c, REG_EFL, 0x2_0202)),
    ("flags VIF VIP ID", |c| set(c, REG_EFL, 0x38_0202)),
    ("flags high half", |c| set(c, REG_EFL, 0xffff_ffff_0000_0202)),
    ("flags TF", |c| set(c, REG_EFL, 0x302)),
    ("mxcsr reserved bits", |c| state_word(c, 24, 0xffff_ffff)),
    ("mxcsr other rounding", |c| state_word(c, 24, 0x7f80)),
    ("first magic", |c| state_word(c, 464, 0)),
    ("size 0", |c| state_word(c, 480, 0)),
    ("size huge", |c| state_word(c, 480, u32::MAX)),
    ("extended size 0", |c| state_word(c, 468, 0)),
    ("extended size huge", |c| state_word(c, 468, u32::MAX)),
    ("features all", |c| state_long(c, 472, u64::MAX)),
    ("header: all features", |c| state_long(c, 512, u64::MAX)),
    ("header: no features", |c| state_long(c, 512, 0)),
    ("header: compaction", |c| state_long(c, 520, u64::MAX)),
    ("header: reserved", |c| state_long(c, 528, u64::MAX)),
    ("state null", |c| c.uc_mcontext.fpregs = std::ptr::null_mut()),
    ("state misaligned", |c| state_at(c, |at| at + 1)),
    ("state unmapped", |c| state_at(c, |_| 0x1000)),
    ("state in the kernel", |c| state_at(c, |_| 0xffff_ffff_8000_0000)),
    ("state not canonical", |c| state_at(c, |_| 0x0000_8000_0000_0000)),
    ("state at the end of the user's half", |c| state_at(c, |_| 0x7fff_ffff_efc0)),
    ("uc_flags 0", |c| c.uc_flags = 0),
    ("uc_flags all", |c| c.uc_flags = u64::MAX),
    ("alternate stack nonsense", |c| {
        c.uc_stack.ss_flags = 0x7777;
        c.uc_stack.ss_sp = 8 as *mut _;
    }),
    ("mask all", |c| {
        // SAFETY: the kernel's set is the first word of the C library's larger one.
        unsafe { *(&raw mut c.uc_sigmask).cast::<u64>() = u64::MAX }
    }),
];

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (label, spoil) in CASES {
        say!("{label}: {}", end_with(*spoil));
    }
    0
}

fn selectors(context: &mut libc::ucontext_t, cs: u64, ss: u64) {
    set(context, REG_CSGSFS, cs | ss << 48);
}

fn state_at(context: &mut libc::ucontext_t, place: fn(usize) -> usize) {
    context.uc_mcontext.fpregs = place(context.uc_mcontext.fpregs as usize) as *mut _;
}
