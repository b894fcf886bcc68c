//! Small Linux programs, one per behaviour, in one multi-call binary: `behave NAME [ARG...]`.
//!
//! Each prints what it saw in lines that are the same on every run (no PIDs, addresses or
//! times), so that the host's Linux is the oracle: the same binary must give the same bytes
//! and the same status on Kiln. `behave --list` prints one behaviour a line, its name followed
//! by its tags (see [`Behaviour::tags`]); `behave --helper NAME` starts one of the [`helper`]
//! programs that behaviours start, and tests too; `behave bench` measures (see [`bench`]).
//!
//! The binary has no Rust runtime start (`no_main`): signal dispositions, masks and the
//! alternate stack are those that the kernel gave.
#![no_main]
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::large_stack_arrays,
    reason = "a behaviour that panics dies of SIGABRT, a failed test and meant to be one; stacks here are megabytes"
)]

mod behaviour;
mod bench;
mod helper;
mod hog;
mod large;
mod out;
mod rearrange;
mod scratch;
#[allow(
    dead_code,
    reason = "the calls are written down once, whole, not as the next test needs them"
)]
mod sys;

mod cpu;
mod event;
mod exec;
mod fault;
mod file;
mod hostile;
mod ipc;
mod memory;
mod misc;
mod mount;
mod overlay;
mod pipe;
mod process;
mod sched;
mod signal;
mod smp;
mod socket;
mod stream;
mod time;
mod tty;

use behaviour::Behaviour;
use std::ffi::{CStr, CString, c_char};

const SUBJECTS: &[&[Behaviour]] = &[
    process::ALL,
    sched::ALL,
    exec::ALL,
    pipe::ALL,
    event::ALL,
    ipc::ALL,
    signal::ALL,
    fault::ALL,
    cpu::ALL,
    memory::ALL,
    time::ALL,
    file::ALL,
    stream::ALL,
    socket::ALL,
    tty::ALL,
    misc::ALL,
    mount::ALL,
    overlay::ALL,
    hostile::ALL,
    smp::ALL,
];

/// The C entry: glibc calls it after its own initialisation.
#[unsafe(no_mangle)]
extern "C" fn main(argc: i32, argv: *const *const c_char) -> i32 {
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: the C runtime hands over `argc` pointers to strings that live as long as the
    // process.
    let args: Vec<&CStr> = (0..count)
        .map(|i| unsafe { CStr::from_ptr(*argv.add(i)) })
        .collect();
    dispatch(&args)
}

fn dispatch(args: &[&CStr]) -> i32 {
    let Some(name) = args.get(1).filter(|_| !bench::is_init()) else {
        return if bench::is_init() {
            bench::as_init()
        } else {
            usage()
        };
    };
    match name.to_bytes() {
        b"--list" => list(),
        b"bench" => bench::run(args.get(2..).unwrap_or_default()),
        b"--helper" => helper::run(args.get(2..).unwrap_or_default()),
        // `#!behave --helper NAME` arrives as one argument.
        joined if joined.starts_with(b"--helper ") => {
            let name = CString::new(&joined[9..]).unwrap_or_default();
            let mut rest = vec![name.as_c_str()];
            rest.extend_from_slice(&args[2..]);
            helper::run(&rest)
        }
        b"--all" => run_all(args.get(2..).unwrap_or_default()),
        wanted => match find(wanted) {
            Some(found) => {
                behaviour::prepare();
                (found.run)(&args[2..])
            }
            None => usage(),
        },
    }
}

fn find(wanted: &[u8]) -> Option<&'static Behaviour> {
    SUBJECTS
        .iter()
        .copied()
        .flatten()
        .find(|b| b.name.as_bytes() == wanted)
}

fn list() -> i32 {
    for b in SUBJECTS.iter().copied().flatten() {
        let mut line = String::from(b.name);
        for tag in b.tags {
            line.push(' ');
            line.push_str(tag);
        }
        out::line(&line);
    }
    0
}

/// `--all [PREFIX...]`: every behaviour (whose name starts with one of the prefixes), each in
/// a child of its own, with a line before and after it: one VM for the whole suite.
fn run_all(prefixes: &[&CStr]) -> i32 {
    let wanted = |name: &str| {
        prefixes.is_empty()
            || prefixes
                .iter()
                .any(|p| name.as_bytes().starts_with(p.to_bytes()))
    };
    for b in SUBJECTS
        .iter()
        .copied()
        .flatten()
        .filter(|b| wanted(b.name))
    {
        out::line(&format!("=== {}", b.name));
        let status = sys::child::run(|| {
            behaviour::prepare();
            (b.run)(&[])
        });
        out::line(&format!("=== {} {status}", b.name));
    }
    0
}

fn usage() -> i32 {
    out::error("usage: behave NAME [ARG...] | --list | --all [PREFIX...] | --helper NAME [ARG...]");
    2
}
