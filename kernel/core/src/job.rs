//! The job's specification, as the launcher hands it to the kernel: NUL-separated `key=value`
//! records in the fw_cfg file [`FW_CFG_NAME`]. It is never on the kernel's command line, so that no argument needs quoting.
//!
//! What isn't there is as by default: empty, 0 or off.
//!
//! | key | value |
//! | --- | --- |
//! | `arg` | one argument; the first is the program; in order |
//! | `env` | one `NAME=VALUE`; in order |
//! | `cwd`, `hostname` | as given |
//! | `uid`, `gid` | decimal |
//! | `seed` | random seed in hexadecimal, 32 bytes |
//! | `time` | wall clock when QEMU was started, nanoseconds since the epoch, decimal |
//! | `console` | virtio-mmio slot of the channel's console, decimal |
//! | `disk` | `SLOT:TYPE:FLAGS:MOUNTPOINT` (see [`Disk`]) |
//! | `timeout` | milliseconds after which the job is killed, decimal |
//! | `tty`, `strace`, `verbose`, `stdin`, `report` | `1` when on (`stdin`: standard input is attached; `report`: the record is to hold all counts) |
//! | `closed` | a digit for each of the descriptors 0, 1 and 2 that the caller has closed |
//! | `window` | `ROWSxCOLUMNS` of the terminal |

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use crate::decimal;

/// The fw_cfg file that holds the specification.
pub const FW_CFG_NAME: &str = "opt/org.kiln/job";

/// A disk to attach before the job starts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Disk {
    /// virtio-mmio slot, 0..8.
    pub slot: u8,
    /// File system type, `ext4`, or `auto`; empty: not mounted.
    pub fs_type: String,
    /// Not to be written.
    pub read_only: bool,
    /// Where it is mounted; empty: nowhere.
    pub mountpoint: Vec<u8>,
}

/// Everything the kernel needs to know of the job.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Spec {
    /// The program and its arguments.
    pub args: Vec<Vec<u8>>,
    /// The environment, each `NAME=VALUE`.
    pub env: Vec<Vec<u8>>,
    /// Working directory; empty: `/`.
    pub cwd: Vec<u8>,
    /// Host name; empty: `kiln`.
    pub hostname: Vec<u8>,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Seed of the random number generator.
    pub seed: [u8; 32],
    /// Wall clock when QEMU was started, nanoseconds since the epoch.
    pub time: u64,
    /// virtio-mmio slot of the channel's console; `None`: streams go to the serial line.
    pub console: Option<u8>,
    /// Disks, in the order of their names (`/dev/vda` first).
    pub disks: Vec<Disk>,
    /// Milliseconds after boot at which the job is killed; 0: never.
    pub timeout_ms: u64,
    /// The job gets a terminal.
    pub tty: bool,
    /// Every system call is printed.
    pub strace: bool,
    /// Kernel messages go to the launcher.
    pub verbose: bool,
    /// Standard input is attached; otherwise it is at its end from the start.
    pub stdin: bool,
    /// Which of descriptors 0, 1 and 2 the job starts without, as the caller has closed them.
    pub closed: [bool; 3],
    /// The record is to hold what a report tells; otherwise how the job ended is enough.
    pub report: bool,
    /// The terminal's rows and columns.
    pub window: (u16, u16),
}

/// Why a specification was refused, with the key at fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadSpec(pub String);

impl Spec {
    /// As it goes into the fw_cfg file. Arguments hold no NUL: the caller's `argv` can't.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut put = |key: &str, value: &[u8]| {
            out.extend_from_slice(key.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value);
            out.push(0);
        };
        self.args.iter().for_each(|arg| put("arg", arg));
        self.env.iter().for_each(|env| put("env", env));
        for (key, value) in [("cwd", &self.cwd), ("hostname", &self.hostname)] {
            if !value.is_empty() {
                put(key, value);
            }
        }
        let numbers = [
            ("uid", u64::from(self.uid)),
            ("gid", u64::from(self.gid)),
            ("time", self.time),
            ("timeout", self.timeout_ms),
        ];
        for (key, value) in numbers.into_iter().filter(|(_, value)| *value != 0) {
            put(key, value.to_string().as_bytes());
        }
        let mut hex = String::new();
        for byte in self.seed {
            let _ = write!(hex, "{byte:02x}");
        }
        put("seed", hex.as_bytes());
        if let Some(slot) = self.console {
            put("console", slot.to_string().as_bytes());
        }
        for disk in &self.disks {
            let mode = if disk.read_only { "ro" } else { "rw" };
            let mut value = alloc::format!("{}:{}:{mode}:", disk.slot, disk.fs_type).into_bytes();
            value.extend_from_slice(&disk.mountpoint);
            put("disk", &value);
        }
        let flags = [
            ("tty", self.tty),
            ("strace", self.strace),
            ("verbose", self.verbose),
            ("stdin", self.stdin),
            ("report", self.report),
        ];
        flags
            .into_iter()
            .filter(|(_, on)| *on)
            .for_each(|(key, _)| put(key, b"1"));
        if self.closed.contains(&true) {
            let closed = b"012".iter().zip(self.closed).filter(|(_, closed)| *closed);
            let digits: Vec<u8> = closed.map(|(digit, _)| *digit).collect();
            put("closed", &digits);
        }
        if self.window != (0, 0) {
            let window = alloc::format!("{}x{}", self.window.0, self.window.1);
            put("window", window.as_bytes());
        }
        out
    }

    /// Reads a specification back.
    ///
    /// # Errors
    /// [`BadSpec`] names the first record that isn't as the table above says.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadSpec> {
        let mut spec = Self::default();
        for record in bytes
            .split(|byte| *byte == 0)
            .filter(|record| !record.is_empty())
        {
            let at = record.iter().position(|byte| *byte == b'=');
            let parts = at.and_then(|at| Some((record.get(..at)?, record.get(at + 1..)?)));
            let taken = parts.and_then(|(key, value)| spec.take(key, value));
            if taken.is_none() {
                let key = parts.map_or(record, |(key, _)| key);
                return Err(BadSpec(String::from_utf8_lossy(key).to_string()));
            }
        }
        if spec.args.is_empty() {
            return Err(BadSpec("arg".to_string()));
        }
        Ok(spec)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"arg" => self.args.push(value.to_vec()),
            b"env" => self.env.push(value.to_vec()),
            b"cwd" => self.cwd = value.to_vec(),
            b"hostname" => self.hostname = value.to_vec(),
            b"uid" => self.uid = number(value)?,
            b"gid" => self.gid = number(value)?,
            b"seed" => self.seed = seed(value)?,
            b"time" => self.time = number(value)?,
            b"timeout" => self.timeout_ms = number(value)?,
            b"console" => self.console = Some(number(value)?),
            b"disk" => self.disks.push(disk(value)?),
            b"tty" => self.tty = value == b"1",
            b"strace" => self.strace = value == b"1",
            b"verbose" => self.verbose = value == b"1",
            b"stdin" => self.stdin = value == b"1",
            b"closed" => self.closed = [b'0', b'1', b'2'].map(|digit| value.contains(&digit)),
            b"report" => self.report = value == b"1",
            b"window" => self.window = window(value)?,
            _ => return None,
        }
        Some(())
    }
}

fn number<T: TryFrom<u64>>(value: &[u8]) -> Option<T> {
    T::try_from(decimal::parse(value)?).ok()
}

fn seed(value: &[u8]) -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    if value.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    for (byte, pair) in seed.iter_mut().zip(value.chunks_exact(2)) {
        let [high, low] = *pair.first_chunk()?;
        *byte = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
    }
    Some(seed)
}

fn disk(value: &[u8]) -> Option<Disk> {
    let mut parts = value.splitn(4, |byte| *byte == b':');
    let slot = number(parts.next()?)?;
    let fs_type = core::str::from_utf8(parts.next()?).ok()?.to_string();
    let read_only = match parts.next()? {
        b"ro" => true,
        b"rw" => false,
        _ => return None,
    };
    Some(Disk {
        slot,
        fs_type,
        read_only,
        mountpoint: parts.next()?.to_vec(),
    })
}

fn window(value: &[u8]) -> Option<(u16, u16)> {
    let at = value.iter().position(|byte| *byte == b'x')?;
    Some((number(value.get(..at)?)?, number(value.get(at + 1..)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn round_trip() {
        let spec = Spec {
            args: vec![b"/bin/sh".to_vec(), b"".to_vec(), b"a=b\n\xff".to_vec()],
            env: vec![b"PATH=/bin".to_vec()],
            cwd: b"/in".to_vec(),
            seed: [0xA5; 32],
            console: Some(7),
            disks: vec![Disk {
                slot: 1,
                fs_type: "ext4".to_string(),
                read_only: true,
                mountpoint: b"/a:b".to_vec(),
            }],
            strace: true,
            closed: [true, false, true],
            window: (24, 80),
            ..Spec::default()
        };
        assert_eq!(Spec::decode(&spec.encode()), Ok(spec));
    }

    #[test]
    fn refusals_name_the_key() {
        assert_eq!(Spec::decode(b"uid=x\0"), Err(BadSpec("uid".to_string())));
        assert_eq!(
            Spec::decode(b"nonsense\0"),
            Err(BadSpec("nonsense".to_string()))
        );
        assert_eq!(Spec::decode(b""), Err(BadSpec("arg".to_string())));
    }
}
