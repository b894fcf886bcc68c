//! The status record: the one line of JSON on the debug console that tells how the job ended.
//!
//! [`Record`] is what the kernel fills in, [`Record::write`] puts it out without allocating, so
//! that a kernel in trouble can use it too. [`Ending::exit_value`] is what goes to the debug-exit
//! port after it; the launcher compares both and trusts neither alone.
//! The record is the only line that begins with [`PREFIX`]; other debug output may surround it.

use core::fmt::{self, Write};

use crate::decimal;

/// How the line begins.
pub const PREFIX: &str = "{\"kiln\":1,";

/// I/O port of `isa-debug-exit`; 16 bits wide.
pub const EXIT_PORT: u16 = 0x501;
/// I/O port of `isa-debugcon`, which takes the record byte by byte.
pub const RECORD_PORT: u16 = 0xE9;

/// How the job, or the attempt to run it, ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The job's main process exited with [`Record::code`].
    Exited,
    /// The job's main process died of [`Record::signal`].
    Signaled,
    /// The time limit came first.
    Timeout,
    /// The program isn't there (status 127).
    NotFound,
    /// The program is there but can't be executed (status 126).
    NoExec,
    /// The kernel failed.
    Panic,
    /// The job specification or what it names (a disk, a directory) can't be used.
    BadJob,
    /// What the job wrote couldn't be brought to its disks.
    FlushFailed,
}

impl Ending {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Exited,
        Self::Signaled,
        Self::Timeout,
        Self::NotFound,
        Self::NoExec,
        Self::Panic,
        Self::BadJob,
        Self::FlushFailed,
    ];

    /// The word in the record's `status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Signaled => "signaled",
            Self::Timeout => "timeout",
            Self::NotFound => "notfound",
            Self::NoExec => "noexec",
            Self::Panic => "panic",
            Self::BadJob => "bad-job",
            Self::FlushFailed => "flush-failed",
        }
    }

    /// The ending with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.name() == name)
    }

    /// What is written to [`EXIT_PORT`]: never 0, because QEMU's own success is 0, too.
    /// QEMU then exits with twice this, plus one.
    #[must_use]
    pub const fn exit_value(self, code: u8) -> u8 {
        match self {
            Self::Exited if code == 0 => 0x10,
            Self::Exited | Self::NotFound | Self::NoExec => 0x11,
            Self::Signaled | Self::Timeout => 0x12,
            Self::Panic | Self::BadJob | Self::FlushFailed => 0x13,
        }
    }
}

/// Bytes that went over one disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskCount<'a> {
    /// Its name, `vda` for the first.
    pub name: &'a str,
    /// Bytes read from it.
    pub read: u64,
    /// Bytes written to it.
    pub written: u64,
    /// Transfers that it failed.
    pub errors: u64,
    /// Flushes that it failed: what was written may be lost.
    pub failed_flushes: u64,
}

/// Everything the record tells. Borrowed, so that filling it in allocates nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// How it ended.
    pub ending: Ending,
    /// Exit code; 127 and 126 for [`Ending::NotFound`] and [`Ending::NoExec`].
    pub code: u8,
    /// Signal that ended the main process; 0: none.
    pub signal: u8,
    /// Processes killed for want of memory.
    pub oom_kills: u64,
    /// One line for people; empty: nothing to say.
    pub reason: &'a str,
    /// Microseconds from the kernel's first instruction to the first user instruction.
    pub boot_us: u64,
    /// Microseconds from there to the job's end.
    pub job_us: u64,
    /// Most memory in use at any time, KiB.
    pub peak_kib: u64,
    /// CPU time in user mode, microseconds.
    pub user_us: u64,
    /// CPU time in the kernel, microseconds.
    pub sys_us: u64,
    /// Page faults served.
    pub faults: u64,
    /// System calls by name; those with count 0 are left out.
    pub syscalls: &'a [(&'a str, u64)],
    /// Calls that answered ENOSYS, by name or `nr_N`; those with count 0 are left out.
    pub unimplemented: &'a [(&'a str, u64)],
    /// Traffic by disk.
    pub disks: &'a [DiskCount<'a>],
    /// Most bytes used on any kernel stack.
    pub stack_high_water: u64,
    /// Leave out what only a report tells: all counts.
    pub brief: bool,
}

impl<'a> Record<'a> {
    /// A record that tells no more than the ending and why.
    #[must_use]
    pub const fn new(ending: Ending, reason: &'a str) -> Self {
        Self {
            ending,
            code: match ending {
                Ending::NotFound => 127,
                Ending::NoExec => 126,
                _ => 0,
            },
            signal: 0,
            oom_kills: 0,
            reason,
            boot_us: 0,
            job_us: 0,
            peak_kib: 0,
            user_us: 0,
            sys_us: 0,
            faults: 0,
            syscalls: &[],
            unimplemented: &[],
            disks: &[],
            stack_high_water: 0,
            brief: false,
        }
    }

    /// What goes to [`EXIT_PORT`] after this record.
    #[must_use]
    pub const fn exit_value(&self) -> u8 {
        self.ending.exit_value(self.code)
    }

    /// Writes the line, with a newline before it (other output may have left one unfinished) and
    /// one after it.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn write(&self, out: &mut impl Write) -> fmt::Result {
        for part in ["\n", PREFIX, "\"status\":\"", self.ending.name(), "\""] {
            out.write_str(part)?;
        }
        numbers(
            out,
            &[("code", self.code.into()), ("signal", self.signal.into())],
        )?;
        out.write_str(",\"reason\":")?;
        string(out, self.reason)?;
        if !self.brief {
            self.counts(out)?;
        }
        out.write_str("}\n")
    }

    fn counts(&self, out: &mut impl Write) -> fmt::Result {
        let all = [
            ("oom_kills", self.oom_kills),
            ("boot_us", self.boot_us),
            ("job_us", self.job_us),
            ("peak_kib", self.peak_kib),
            ("user_us", self.user_us),
            ("sys_us", self.sys_us),
            ("faults", self.faults),
            ("stack_high_water", self.stack_high_water),
        ];
        numbers(out, &all)?;
        counts(out, "syscalls", self.syscalls)?;
        counts(out, "unimplemented", self.unimplemented)?;
        disks(out, self.disks)
    }
}

fn numbers(out: &mut impl Write, numbers: &[(&str, u64)]) -> fmt::Result {
    for (key, value) in numbers {
        for part in [",\"", key, "\":"] {
            out.write_str(part)?;
        }
        decimal::write(out, *value)?;
    }
    Ok(())
}

/// A JSON string (RFC 8259, section 7): quotes, backslashes and control characters escaped.
fn string(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.write_char('\\')?;
                out.write_char(c)?;
            }
            c if c < ' ' || c == '\x7f' => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

fn counts(out: &mut impl Write, key: &str, counts: &[(&str, u64)]) -> fmt::Result {
    write!(out, ",\"{key}\":{{")?;
    let used = counts.iter().filter(|(_, count)| *count > 0);
    for (index, (name, count)) in used.enumerate() {
        out.write_str(if index > 0 { "," } else { "" })?;
        string(out, name)?;
        write!(out, ":{count}")?;
    }
    out.write_char('}')
}

fn disks(out: &mut impl Write, disks: &[DiskCount<'_>]) -> fmt::Result {
    out.write_str(",\"disks\":[")?;
    for (index, disk) in disks.iter().enumerate() {
        out.write_str(if index > 0 {
            ",{\"name\":"
        } else {
            "{\"name\":"
        })?;
        string(out, disk.name)?;
        write!(out, ",\"read\":{},\"written\":{}", disk.read, disk.written)?;
        let failures = [
            ("errors", disk.errors),
            ("failed_flushes", disk.failed_flushes),
        ];
        for (name, count) in failures.iter().filter(|(_, count)| *count > 0) {
            write!(out, ",\"{name}\":{count}")?;
        }
        out.write_char('}')?;
    }
    out.write_char(']')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn line(record: &Record<'_>) -> String {
        let mut out = String::new();
        record.write(&mut out).unwrap();
        out
    }

    #[test]
    fn one_line_whatever_the_reason_holds() {
        let out = line(&Record::new(Ending::NotFound, "a \"b\"\\\n\x1bü"));
        assert_eq!(out.matches('\n').count(), 2);
        assert!(out.trim().starts_with(PREFIX));
        assert!(out.contains(r#""code":127,"#));
        assert!(out.contains(r#""reason":"a \"b\"\\\u000a\u001bü","#));
    }

    #[test]
    fn unused_counts_are_left_out() {
        let record = Record {
            syscalls: &[("read", 2), ("write", 0), ("open", 1)],
            disks: &[DiskCount {
                name: "vda",
                read: 512,
                written: 0,
                errors: 0,
                failed_flushes: 0,
            }],
            ..Record::new(Ending::Exited, "")
        };
        let out = line(&record);
        assert!(out.contains(r#""syscalls":{"read":2,"open":1},"unimplemented":{}"#));
        assert!(out.contains(r#""disks":[{"name":"vda","read":512,"written":0}]}"#));
    }

    #[test]
    fn no_ending_looks_like_a_triple_fault() {
        for ending in Ending::ALL {
            for code in [0, 1, 255] {
                assert!((0x10..=0x13).contains(&ending.exit_value(code)));
            }
            assert_eq!(Ending::from_name(ending.name()), Some(ending));
        }
        assert_eq!(Ending::Exited.exit_value(0), 0x10);
        assert_eq!(Ending::Exited.exit_value(255), 0x11);
        assert_eq!(Ending::Signaled.exit_value(0), 0x12);
    }
}
