//! The first process of the Linux that jobs are compared with: what Kiln's `job` room is there, on
//! Debian's kernel. It runs the launcher's job and reports its end in the launcher's own formats.
//!
//! [`scene`] loads the modules and mounts the tree, [`channel`] carries the streams, [`job`] starts the
//! program (by executing this one again, as `job::WORD`) and waits for it. The record leaves by a second port.

mod channel;
mod job;
mod scene;

use std::fs::File;
use std::io::Write;

use kiln_core::report::{Ending, Record};
use nix::sys::reboot::{RebootMode, reboot};

use job::End;

fn main() {
    let args: Vec<_> = std::env::args_os().collect();
    if let [_, word, rest @ ..] = args.as_slice()
        && word == job::WORD
    {
        job::become_program(rest);
    }
    let end = run().unwrap_or_else(|error| End::new(Ending::BadJob, 0, format!("{error:#}")));
    if let Err(error) = report(&end) {
        eprintln!("kiln: {error:#} ({})", end.reason);
    }
    // Under -no-reboot that is QEMU's end.
    let _ = reboot(RebootMode::RB_AUTOBOOT);
}

fn run() -> anyhow::Result<End> {
    scene::modules()?;
    let spec = scene::specification()?;
    scene::mount(&spec)?;
    let end = job::run(&spec);
    match scene::take_down(&spec) {
        Ok(()) => end,
        Err(error) => Ok(End::new(Ending::FlushFailed, 0, format!("{error:#}"))),
    }
}

fn report(end: &End) -> anyhow::Result<()> {
    let record = Record {
        code: end.code,
        signal: end.signal,
        ..Record::new(end.ending, &end.reason)
    };
    let mut line = String::new();
    record.write(&mut line)?;
    let mut port: File = channel::port(channel::RECORD)?;
    port.write_all(line.as_bytes())?;
    Ok(())
}
