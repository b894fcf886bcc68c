//! What a program can do to the ways into the kernel: every exception, odd flags, odd places.

use kiln_core::addr::{TASK_SIZE, UserAddr};
use x86_64::registers::rflags::{self, RFlags};

use super::arch::space;
use crate::arch::provoke;
use crate::arch::user::{self, Stop, UserContext};
use crate::mm::frame::FrameRef;
use crate::mm::paging::{Gather, PageFlags};
use crate::mm::user as copies;

/// All of them.
pub(super) fn all() {
    exceptions();
    compatibility_mode();
    flags();
    registers();
    last_page();
    stacks();
}

/// A kernel that reads or executes a program's memory by mistake is stopped: these end in a report.
pub(super) fn mistakes(execute: bool) {
    let _tables = space(&[0xC3]);
    assert!(copies::copy_in(&mut [0; 1], UserAddr::new(0x1000)).is_ok());
    if execute {
        provoke::execute_user(0x1000);
    } else {
        provoke::read_user(0x1000);
    }
    panic!("nothing stopped it");
}

/// Runs `code` from fresh registers; the vector it stops with, or `None` for a syscall.
#[track_caller]
fn vector(code: &[u8]) -> Option<u8> {
    let _tables = space(code);
    let mut context = UserContext::new(0x1000, 0x3000);
    loop {
        match user::run(&mut context) {
            Stop::Syscall => return None,
            Stop::Fault(fault) => {
                assert_eq!(context.orig_rax, u64::MAX);
                return Some(fault.vector);
            }
            Stop::Interrupt | Stop::Served => {}
        }
    }
}

/// mov dword [0x2000], 0x101C; mov word [0x2004], 0x23; jmp far [0x2000]; from there on 32-bit code.
const COMPATIBILITY_MODE: &[u8] = &[
    0xC7, 0x04, 0x25, 0, 0x20, 0, 0, 0x1C, 0x10, 0, 0, 0x66, 0xC7, 0x04, 0x25, 4, 0x20, 0, 0, 0x23,
    0, 0xFF, 0x2C, 0x25, 0, 0x20, 0, 0,
];

/// What this 32-bit code raises.
fn vector_32(code: &[u8]) -> Option<u8> {
    vector(&[COMPATIBILITY_MODE, code].concat())
}

/// Compatibility mode has no way into the kernel but exceptions.
fn compatibility_mode() {
    // mov eax, 20; syscall; cmp eax, -ENOSYS; jne 1f; ud2; 1: int3. (Intel's CPUs refuse the instruction.)
    let call = [
        0xB8, 20, 0, 0, 0, 0x0F, 5, 0x83, 0xF8, 0xDA, 0x75, 2, 0x0F, 0x0B, 0xCC,
    ];
    assert_eq!(vector_32(&call), Some(6), "syscall");
    assert_eq!(vector_32(&[0xCD, 0x80]), Some(13), "int 0x80");
    assert_eq!(vector_32(&[0x0F, 0x34]), Some(13), "sysenter");
    // A jump back, to 0x33:0x102C, where the stack is a 64-bit one.
    let mut back = [0x90; 0x12];
    back[..7].copy_from_slice(&[0xEA, 0x2C, 0x10, 0, 0, 0x33, 0]);
    back[0x10..].copy_from_slice(&[0x0F, 0x0B]);
    assert_eq!(vector_32(&back), Some(6), "jump back");
}

fn exceptions() {
    let cases: [(&str, &[u8], u8); 18] = [
        ("div", &[0x31, 0xC9, 0xF7, 0xF1], 0),
        ("int3", &[0xCC], 3),
        ("int 3", &[0xCD, 3], 3),
        ("int 4", &[0xCD, 4], 4),
        ("ud2", &[0x0F, 0x0B], 6),
        ("int 2", &[0xCD, 2], 13),
        ("int 8", &[0xCD, 8], 13),
        ("int 14", &[0xCD, 14], 13),
        ("int 0x20", &[0xCD, 0x20], 13),
        ("int 0x80", &[0xCD, 0x80], 13),
        ("hlt", &[0xF4], 13),
        ("cli", &[0xFA], 13),
        ("in al, 0x60", &[0xE4, 0x60], 13),
        ("out 0x501, ax", &[0x66, 0xBA, 0x01, 0x05, 0x66, 0xEF], 13),
        ("rdmsr", &[0x0F, 0x32], 13),
        ("swapgs", &[0x0F, 0x01, 0xF8], 6),
        // push 0x23; push 0x1000; retfq
        (
            "return to 0x23",
            &[0x6A, 0x23, 0x68, 0, 0x10, 0, 0, 0x48, 0xCB],
            13,
        ),
        (
            "jump out of reach",
            &[0x48, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xFF, 0xE0],
            13,
        ),
    ];
    for (name, code, expected) in cases {
        let found = vector(code);
        // The architecture leaves open which of the two a privileged instruction raises.
        let same = found == Some(expected) || (name == "swapgs" && found == Some(13));
        assert!(same, "{name}: {found:?}");
    }
}

/// A program's flags don't reach the kernel, whichever way it comes.
fn flags() {
    // push FLAGS; popf; INSTRUCTION
    for flags in [1 << 10, 1 << 14, 1 << 18, 1 << 16, 1 << 21] {
        for instruction in [[0x0F, 0x05], [0x0F, 0x0B], [0xCD, 0x80], [0xCC, 0x90]] {
            let [a, b, c, d] = u32::to_le_bytes(flags);
            let [e, f] = instruction;
            let _tables = space(&[0x68, a, b, c, d, 0x9D, e, f]);
            let mut context = UserContext::new(0x1000, 0x3000);
            let stop = user::run(&mut context);
            assert_ne!(stop, Stop::Interrupt);
            let kernel = rflags::read();
            let bad = RFlags::DIRECTION_FLAG
                | RFlags::ALIGNMENT_CHECK
                | RFlags::NESTED_TASK
                | RFlags::TRAP_FLAG;
            assert!(
                !kernel.intersects(bad),
                "{kernel:?} after {flags:#x} {instruction:x?}"
            );
            // With SMAP open, this would not fault but read the program's page.
            assert_eq!(copies::copy_in(&mut [0; 16], UserAddr::new(0x2000)), Ok(()));
        }
    }
    single_steps();
}

/// TF: a trap after each instruction, one in a syscall's place, and nothing worse from MOV SS.
fn single_steps() {
    // push 0x100; popf; nop; syscall
    let _tables = space(&[0x68, 0, 1, 0, 0, 0x9D, 0x90, 0x0F, 0x05]);
    let mut context = UserContext::new(0x1000, 0x3000);
    let Stop::Fault(fault) = user::run(&mut context) else {
        panic!("no trap")
    };
    assert_eq!(
        (fault.vector, context.rip, fault.addr & 0x4000),
        (1, 0x1007, 0x4000)
    );
    assert_eq!(user::run(&mut context), Stop::Syscall);
    assert_eq!(context.rip, 0x1009);
    assert_eq!(context.rflags & 0x100, 0x100);
    drop(_tables);
    // mov eax, 0x2b; push 0x100; popf; mov ss, eax; syscall
    let code = [
        0xB8, 0x2B, 0, 0, 0, 0x68, 0, 1, 0, 0, 0x9D, 0x8E, 0xD0, 0x0F, 0x05,
    ];
    let _tables = space(&code);
    let mut context = UserContext::new(0x1000, 0x3000);
    for _ in 0..3 {
        match user::run(&mut context) {
            Stop::Syscall => return,
            Stop::Fault(fault) => assert_eq!(fault.vector, 1),
            Stop::Interrupt | Stop::Served => {}
        }
    }
    panic!("no syscall");
}

/// Every general register comes back as it was, through a syscall, an exception and both exits.
fn registers() {
    // syscall; ud2; syscall
    let _tables = space(&[0x0F, 0x05, 0x0F, 0x0B, 0x0F, 0x05]);
    let mut context = UserContext::new(0x1000, 0x3000);
    let set = |context: &mut UserContext| {
        let registers = [
            &mut context.rax,
            &mut context.rbx,
            &mut context.rdx,
            &mut context.rsi,
            &mut context.rdi,
            &mut context.rbp,
            &mut context.r8,
            &mut context.r9,
            &mut context.r10,
            &mut context.r12,
            &mut context.r13,
            &mut context.r14,
            &mut context.r15,
            &mut context.rcx,
            &mut context.r11,
        ];
        for (index, register) in (1u64..).zip(registers) {
            *register = index * 0x0123_4567_89AB_CDEF;
        }
    };
    set(&mut context);
    let before = context.clone();
    assert_eq!(user::run(&mut context), Stop::Syscall);
    let same = |context: &UserContext| {
        let pick = |c: &UserContext| {
            [
                c.rax, c.rbx, c.rdx, c.rsi, c.rdi, c.rbp, c.r8, c.r9, c.r10, c.r12, c.r13, c.r14,
                c.r15,
            ]
        };
        pick(context) == pick(&before)
    };
    assert!(same(&context), "{context:x?}");
    assert_eq!(
        (context.rcx, context.r11, context.rsp),
        (0x1002, context.rflags, 0x3000)
    );
    assert!(matches!(user::run(&mut context), Stop::Fault(fault) if fault.vector == 6));
    assert!(same(&context), "{context:x?}");
    assert_eq!(
        (context.rcx, context.rip, context.rsp),
        (0x1002, 0x1002, 0x3000)
    );
    set(&mut context);
    context.rip = 0x1002;
    assert!(matches!(user::run(&mut context), Stop::Fault(fault) if fault.vector == 6));
    assert_eq!((context.rcx, context.r11), (before.rcx, before.r11));
}

/// A syscall as the very last instruction a program can have.
fn last_page() {
    let mut tables = space(&[]);
    let Ok(frame) = FrameRef::alloc_zeroed() else {
        panic!("no memory")
    };
    frame.write(4094, &[0x0F, 0x05]);
    let page = UserAddr::new(TASK_SIZE - 4096);
    assert!(
        tables
            .map(page, frame, PageFlags::EXEC, &mut Gather::new())
            .is_ok()
    );
    let mut context = UserContext::new(TASK_SIZE - 2, 0x3000);
    assert_eq!(user::run(&mut context), Stop::Syscall);
    assert_eq!(context.rip, TASK_SIZE);
    let Stop::Fault(fault) = user::run(&mut context) else {
        panic!("no fault")
    };
    assert_eq!((fault.vector, fault.addr), (14, TASK_SIZE));
}

/// The program's stack pointer is of no importance to the kernel.
fn stacks() {
    for rsp in [
        0,
        8,
        0x1001,
        0x8000_0000_0000_0000,
        0xFFFF_8000_0000_0000,
        u64::MAX,
    ] {
        for (code, expected) in [(&[0x0F, 0x05], None), (&[0x0F, 0x0B], Some(6))] {
            let _tables = space(code);
            let mut context = UserContext::new(0x1000, rsp);
            match user::run(&mut context) {
                Stop::Fault(fault) => assert_eq!(Some(fault.vector), expected),
                stop => assert_eq!((stop, expected), (Stop::Syscall, None)),
            }
            assert_eq!(context.rsp, rsp);
        }
    }
}
