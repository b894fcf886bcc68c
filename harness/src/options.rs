//! The command line of `run.sh`: [`Options`], parsed by clap, and the small value types in it.
//!
//! Everything from the first word that isn't an option (or from `--`) is the job's. What can't be
//! understood is one line for people ([`parse`] gives it), and the status is 125.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, ValueEnum};

/// Run one batch job in a microVM of its own, and end with the job's exit status.
#[derive(Parser, Debug, Clone)]
#[command(
    name = "run.sh",
    version,
    disable_help_subcommand = true,
    override_usage = "run.sh [OPTIONS] [--] PROGRAM [ARG...]",
    after_help = "Statuses: 0..255 the job's own; 124 timeout; 125 run.sh, QEMU or the kernel failed;\n\
                  126 the program can't be executed; 127 it can't be found; 128+n it died of signal n."
)]
pub struct Options {
    /// Root filesystem: a directory, an ext4 image, a tar, a cpio or a container image, compressed or not [default: built-in, with busybox]
    #[arg(long, value_name = "PATH")]
    pub root: Option<PathBuf>,
    /// Let the job change the root image itself
    #[arg(long)]
    pub rw: bool,
    /// DIR is there, read-only, at /in
    #[arg(long = "in", value_name = "DIR")]
    pub input: Option<PathBuf>,
    /// What the job leaves in /out arrives in DIR
    #[arg(long = "out", value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// One more virtio-blk disk: FILE[:ro][:/mountpoint]
    #[arg(long = "disk", value_name = "SPEC", value_parser = parse_disk)]
    pub disks: Vec<DiskOption>,
    /// Keep standard input attached (it is, unless it's a terminal)
    #[arg(short = 'i')]
    pub interactive: bool,
    /// Give the job a terminal
    #[arg(short = 't')]
    pub tty: bool,
    /// Set a variable of the job's environment (K alone: as it is here)
    #[arg(long = "env", short = 'e', value_name = "K=V", value_parser = OsStringValueParser::new().try_map(named))]
    pub env: Vec<OsString>,
    /// Directory the job starts in
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<OsString>,
    /// User and group the job runs as
    #[arg(long, value_name = "UID[:GID]", allow_negative_numbers = true, value_parser = parse_user)]
    pub user: Option<User>,
    /// The VM's host name
    #[arg(long, value_name = "NAME", value_parser = parse_hostname, default_value = "kiln")]
    pub hostname: String,
    /// The VM's memory
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, value_parser = parse_memory, default_value = "256M")]
    pub memory: u64,
    /// Number of CPUs
    #[arg(long, value_name = "N", default_value_t = default_cpus(), allow_negative_numbers = true, value_parser = parse_cpus)]
    pub cpus: u32,
    /// Kill the job after this many seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = parse_seconds)]
    pub timeout: Option<Duration>,
    /// Write the job's report as JSON (- for standard error)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Print each system call on standard error
    #[arg(long)]
    pub strace: bool,
    /// More for the kernel's command line
    #[arg(
        long,
        value_name = "'K=V ...'",
        allow_hyphen_values = true,
        help_heading = "For people working on the kernel"
    )]
    pub append: Option<String>,
    /// Boot this kernel
    #[arg(
        long,
        value_name = "ELF",
        help_heading = "For people working on the kernel"
    )]
    pub kernel: Option<PathBuf>,
    /// How QEMU runs the guest's code
    #[arg(
        long,
        value_enum,
        default_value = "auto",
        help_heading = "For people working on the kernel"
    )]
    pub accel: Accel,
    /// More arguments for QEMU, separated by blanks
    #[arg(
        long,
        value_name = "'ARGS'",
        allow_hyphen_values = true,
        help_heading = "For people working on the kernel"
    )]
    pub qemu_args: Option<String>,
    /// Wait for a debugger on this TCP port before the first instruction
    #[arg(
        long,
        value_name = "PORT",
        allow_negative_numbers = true, value_parser = parse_port,
        help_heading = "For people working on the kernel"
    )]
    pub gdb: Option<u16>,
    /// Print QEMU's command line and don't run it
    #[arg(long, help_heading = "For people working on the kernel")]
    pub dry_run: bool,
    /// Kernel messages on standard error
    #[arg(long, help_heading = "For people working on the kernel")]
    pub verbose: bool,
    /// The program and its arguments
    #[arg(value_name = "PROGRAM [ARG...]", trailing_var_arg = true)]
    pub job: Vec<OsString>,
}

/// `--accel`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Accel {
    /// Translation, on any machine.
    Tcg,
    /// The host's own virtualisation.
    Kvm,
    /// KVM where the CPU virtualises and `/dev/kvm` can be opened, else TCG.
    Auto,
}

/// `--user`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// `--disk`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskOption {
    /// The image or block device on the host.
    pub file: PathBuf,
    /// The job can't write to it.
    pub read_only: bool,
    /// Where it is mounted; `None`: only `/dev/vdX` is there.
    pub mountpoint: Option<Vec<u8>>,
}

/// How parsing ended when there is nothing to run.
#[derive(Debug)]
pub enum NoRun {
    /// `--help` or `--version`: this text, and status 0.
    Text(String),
    /// One line for people, and status 125.
    Bad(String),
}

/// Parses `args` (the first is the command's own name).
///
/// # Errors
/// [`NoRun`] for help, version, and everything that can't be understood.
pub fn parse(args: &[OsString]) -> Result<Options, NoRun> {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    let options = Options::try_parse_from(args).map_err(|error| match error.kind() {
        DisplayHelp | DisplayVersion => NoRun::Text(error.to_string()),
        _ => NoRun::Bad(one_line(&error.to_string())),
    })?;
    // A container image may name a program.
    if options.job.is_empty() && options.root.is_none() {
        return Err(NoRun::Bad(
            "no program is named; --help tells more".to_owned(),
        ));
    }
    Ok(options)
}

/// The command line of the sample job, which runs when there are no words at all. `dir` is its
/// input.
#[must_use]
pub fn sample(dir: &std::path::Path) -> Vec<OsString> {
    let words = ["run.sh", "--in"].map(OsString::from).into_iter();
    let job = ["--", "sh", "/in/job.sh"].map(OsString::from);
    words
        .chain([dir.as_os_str().to_owned()])
        .chain(job)
        .collect()
}

/// The report's destination in a command line that doesn't parse: the report is written in every
/// case, so this looks for it with less care than clap.
#[must_use]
pub fn report_of(args: &[OsString]) -> Option<PathBuf> {
    let mut words = args.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == "--report" {
            return words.next().map(PathBuf::from);
        }
        if let Some(file) = word.as_bytes().strip_prefix(b"--report=") {
            return Some(PathBuf::from(OsStr::from_bytes(file)));
        }
    }
    None
}

/// clap's message without its label, its usage and its line breaks.
fn one_line(message: &str) -> String {
    let mut parts = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let first = parts.next().unwrap_or("bad option");
    let first = first.strip_prefix("error: ").unwrap_or(first);
    parts.fold(first.to_owned(), |all, part| {
        format!("{all} ({})", part.strip_prefix("tip: ").unwrap_or(part))
    })
}

fn parse_user(text: &str) -> Result<User, String> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
    let id = |part: &str| {
        part.parse::<u32>()
            .ok()
            .filter(|id| *id != u32::MAX)
            .ok_or_else(|| format!("'{part}' isn't a numeric id"))
    };
    Ok(User {
        uid: id(uid)?,
        gid: id(gid)?,
    })
}

/// `NAME=VALUE` or `NAME`; a variable without a name is a mistake.
fn named(entry: OsString) -> Result<OsString, String> {
    match entry.as_bytes().first() {
        None | Some(b'=') => Err("the variable has no name".to_owned()),
        Some(_) => Ok(entry),
    }
}

fn parse_hostname(text: &str) -> Result<String, String> {
    // Linux's __NEW_UTS_LEN.
    if text.is_empty() || text.len() > 64 || text.contains('\0') {
        return Err("a host name has 1 to 64 bytes".to_owned());
    }
    Ok(text.to_owned())
}

/// A size as `docker run` takes it: bytes, or with one of the suffixes K, M, G, T (powers of 1024).
///
/// # Errors
/// One line that says what is wrong.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_end_matches("ib").trim_end_matches('b');
    let (digits, shift) = match number.chars().last() {
        Some('k') => (number.trim_end_matches('k'), 10),
        Some('m') => (number.trim_end_matches('m'), 20),
        Some('g') => (number.trim_end_matches('g'), 30),
        Some('t') => (number.trim_end_matches('t'), 40),
        _ => (number, 0),
    };
    let value: u64 = digits
        .parse()
        .map_err(|_| format!("'{text}' isn't a size such as 64M or 2G"))?;
    value
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("'{text}' is too large"))
}

fn parse_memory(text: &str) -> Result<u64, String> {
    let bytes = parse_size(text)?;
    if bytes < 1 << 20 {
        return Err(format!(
            "{bytes} bytes are too few; sizes are like 256M or 2G"
        ));
    }
    Ok(bytes)
}

/// The most CPUs that the kernel makes use of.
const MAX_CPUS: u32 = 64;

/// One, or `KILN_CPUS` for those who try everything out with more.
fn default_cpus() -> u32 {
    let wanted = std::env::var("KILN_CPUS").ok();
    wanted.and_then(|text| parse_cpus(&text).ok()).unwrap_or(1)
}

fn parse_cpus(text: &str) -> Result<u32, String> {
    let cpus = text.parse().ok();
    cpus.filter(|cpus| (1..=MAX_CPUS).contains(cpus))
        .ok_or_else(|| format!("'{text}' isn't a number of CPUs from 1 to {MAX_CPUS}"))
}

fn parse_port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok();
    port.filter(|port| *port != 0)
        .ok_or_else(|| format!("'{text}' isn't a port from 1 to 65535"))
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("'{text}' isn't a number of seconds"))?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|limit| *limit >= Duration::from_millis(1) && limit.as_secs() < 1 << 32)
        .ok_or_else(|| format!("'{text}' isn't a time between a millisecond and a century"))
}

fn parse_disk(text: &str) -> Result<DiskOption, String> {
    let (rest, mountpoint) = match text.rfind(":/") {
        Some(at) => (
            text.get(..at).unwrap_or_default(),
            text.get(at + 1..).map(|path| path.as_bytes().to_vec()),
        ),
        None => (text, None),
    };
    let (file, read_only) = match rest.strip_suffix(":ro") {
        Some(file) => (file, true),
        None => (rest, false),
    };
    if file.is_empty() {
        return Err("no file is named".to_owned());
    }
    Ok(DiskOption {
        file: PathBuf::from(file),
        read_only,
        mountpoint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        std::iter::once("run.sh")
            .chain(line.split_whitespace())
            .map(OsString::from)
            .collect()
    }

    fn good(line: &str) -> Options {
        parse(&words(line)).unwrap()
    }

    fn bad(line: &str) -> String {
        match parse(&words(line)) {
            Err(NoRun::Bad(message)) => message,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn what_follows_the_program_is_the_jobs() {
        for line in [
            "-- echo --timeout 2",
            "echo --timeout 2",
            "-- echo --timeout 2",
        ] {
            let options = good(line);
            assert_eq!(options.job, ["echo", "--timeout", "2"]);
            assert_eq!(options.timeout, None);
        }
        assert_eq!(good("--timeout 1.5 sh -- -c").job, ["sh", "--", "-c"]);
        assert_eq!(good("-- -odd --help").job, ["-odd", "--help"]);
    }

    #[test]
    fn messages_are_one_line() {
        for line in [
            "--tyop x",
            "--memory",
            "--accel qemu x",
            "--memory 12 x",
            "--timeout x y",
            "--env =x y",
            "--gdb 0 y",
        ] {
            let message = bad(line);
            assert!(!message.contains('\n') && !message.is_empty(), "{message}");
        }
        assert!(bad("--memory 64M").contains("no program"));
        assert!(bad("--memroy 3 x").contains("--memroy"));
        for option in ["memory", "cpus", "timeout", "user", "gdb"] {
            let message = bad(&format!("--{option} -1 x"));
            assert!(
                message.contains("'-1'") && !message.contains("-- -1"),
                "{message}"
            );
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("16M"), Ok(16 << 20));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        assert_eq!(parse_size("4096"), Ok(4096));
        for text in ["", "M", "-1M", "1.5G", "99999999999T", "1X"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn disks() {
        let disk = |file: &str, read_only, mountpoint: Option<&str>| DiskOption {
            file: PathBuf::from(file),
            read_only,
            mountpoint: mountpoint.map(|path| path.as_bytes().to_vec()),
        };
        assert_eq!(parse_disk("a.img"), Ok(disk("a.img", false, None)));
        assert_eq!(parse_disk("a:ro"), Ok(disk("a", true, None)));
        assert_eq!(
            parse_disk("/a:b:/mnt"),
            Ok(disk("/a:b", false, Some("/mnt")))
        );
        assert_eq!(parse_disk("a:ro:/m n"), Ok(disk("a", true, Some("/m n"))));
        assert!(parse_disk(":ro").is_err());
    }

    #[test]
    fn users_and_times() {
        assert_eq!(parse_user("7:8"), Ok(User { uid: 7, gid: 8 }));
        assert_eq!(parse_user("7"), Ok(User { uid: 7, gid: 0 }));
        for text in ["root", "", "-1", "4294967295", "1:2:3"] {
            assert!(parse_user(text).is_err(), "{text}");
        }
        assert_eq!(parse_seconds("0.25"), Ok(Duration::from_millis(250)));
        for text in ["0", "-1", "nan", "inf", "1e300", "x"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_report_is_found_in_a_bad_line() {
        assert_eq!(
            report_of(&words("--bad --report r.json x")),
            Some("r.json".into())
        );
        assert_eq!(report_of(&words("--report=- --bad")), Some("-".into()));
        assert_eq!(report_of(&words("-- x --report y")), None);
    }
}
