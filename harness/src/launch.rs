//! One run, from options to [`Outcome`]: check, lay out the machine, start it, pump, judge, deliver.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use kiln_core::job::Spec;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::archive::Defaults;
use crate::disks::{Disks, Image, JobDisk};
use crate::options::{Accel, Options, User};
use crate::outcome::{Outcome, TIMED_OUT, judge};
use crate::pump::{Ended, Killed, Parts, Pump};
use crate::qemu::{self, Drive, Guest, Machine, Wires};
use crate::root::{self, Root};
use crate::signals::Signals;
use crate::{leash, linux, symbols, terminal};

/// The environment a job starts with; `--env` adds to it.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs the job on `guest`, or says in one line why it can't be.
#[must_use]
pub fn run(options: &Options, guest: Guest) -> Outcome {
    attempt(options, guest).unwrap_or_else(|error| Outcome::failed(format!("{error:#}")))
}

fn attempt(options: &Options, guest: Guest) -> Result<Outcome> {
    if options.tty && !terminal::present() {
        bail!("-t needs a terminal as standard input");
    }
    let root = root::find(options.root.as_deref(), options.memory)?;
    if options.job.is_empty() && root.defaults.args.is_empty() {
        bail!("no program is named, and the root names none either");
    }
    if options.rw && !root.on_disk {
        bail!("--rw is for roots that are ext4 images");
    }
    let disks = Disks::make(options, &root, user(options, &root.defaults))?;
    let mut machine = machine(options, &disks, &root)?;
    if guest.is_linux() {
        linux::instead(&mut machine, options)?;
    }
    check_kernel(&machine.kernel, guest)
        .with_context(|| format!("kernel {}", machine.kernel.display()))?;
    if options.accel == Accel::Kvm && !qemu::kvm_is_usable() {
        bail!("--accel kvm: this machine has no KVM that can be used; --accel tcg always works");
    }
    let spec = spec(options, &disks, &root.defaults)?;
    if options.dry_run {
        print_command(&machine);
        return Ok(Outcome::done());
    }
    let signals = Signals::block().context("signals")?;
    let mut wiring = Wiring::new(options.verbose)?;
    wiring.job.write_all(&spec.encode())?;
    let _raw = options.tty.then(terminal::Raw::enter).transpose()?;
    let kernel = machine.kernel.clone();
    let (qemu, ends) = start(machine, wiring)?;
    let parts = Parts {
        qemu,
        channel: ends.channel,
        serial: ends.serial,
        voice: ends.voice,
        signals,
        timeout: options.timeout,
        tty: options.tty,
    };
    let ended = Pump::new(parts)?.run()?;
    let debug = contents(ends.record)?;
    let mut outcome = verdict(guest, &ended, &debug);
    outcome.details = symbols::backtrace(&outcome.record, &kernel);
    match disks.deliver() {
        Ok(warnings) => outcome.warnings.extend(warnings),
        Err(error) => outcome.fail(format!("{error:#}")),
    }
    Ok(outcome)
}

/// The verdict, with what only the launcher knows.
fn verdict(guest: Guest, ended: &Ended, debug: &[u8]) -> Outcome {
    let mut outcome = match ended.killed {
        Some(Killed::Timeout) => Outcome::without_record(
            TIMED_OUT,
            "timeout",
            "the job ran into its time limit, and QEMU was ended".to_owned(),
        ),
        Some(Killed::Signal(signal)) => {
            let status = 128 + u8::try_from(signal as i32).unwrap_or(15);
            let reason = format!("QEMU was ended after {}", signal.as_str());
            Outcome::without_record(status, "killed", reason)
        }
        Some(Killed::Malformed) => Outcome::failed("the guest broke the channel's format"),
        Some(Killed::Stuck) => {
            return Outcome::failed("KVM can't run the guest on this machine; try --accel tcg");
        }
        None => judge(guest, debug, ended.exit),
    };
    if let Some((stream, errno)) = ended.lost {
        let name = if stream == 1 { "output" } else { "error" };
        outcome.fail(format!("standard {name}: {errno}"));
    }
    let said = String::from_utf8_lossy(&ended.said);
    if outcome.status == crate::outcome::FAILED
        && let Some(line) = said.lines().rfind(|line| !line.trim().is_empty())
    {
        let message = outcome.message.take().unwrap_or_default();
        outcome.message = Some(format!("{message} ({line})"));
    }
    outcome
}

fn machine(options: &Options, disks: &Disks, root: &Root) -> Result<Machine> {
    let kernel = match &options.kernel {
        Some(kernel) => kernel.clone(),
        None => root::kernel(),
    };
    let mut append = options.append.clone().unwrap_or_default();
    if options.verbose {
        append = format!("verbose {append}").trim_end().to_owned();
    }
    let mut drives = Vec::new();
    for JobDisk {
        image,
        disk,
        vanishes,
    } in &disks.all
    {
        drives.push(Drive {
            file: match image {
                Image::Named(path) => path.clone(),
                Image::Scratch(file) => inherited(file)?,
            },
            read_only: disk.read_only,
            scratch: *vanishes,
            snapshot: *vanishes && matches!(image, Image::Named(_)),
        });
    }
    if !root.on_disk {
        root::check_size(&root.image, options.memory)?;
    }
    let words = options.qemu_args.as_deref().unwrap_or_default();
    Ok(Machine {
        guest: Guest::Kiln,
        memory: options.memory,
        cpus: options.cpus,
        accel: options.accel,
        kernel,
        initrd: (!root.on_disk).then(|| root.image.clone()),
        append,
        drives,
        serial: options.verbose.then(PathBuf::new),
        gdb: options.gdb,
        extra: words.split_whitespace().map(str::to_owned).collect(),
    })
}

/// QEMU has words of its own for what isn't an ELF file, and they don't help.
fn check_kernel(path: &Path, guest: Guest) -> Result<()> {
    let mut magic = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut magic)?;
    if guest == Guest::Kiln && magic != *b"\x7fELF" {
        bail!("it isn't an ELF file");
    }
    Ok(())
}

/// The job as the kernel is told: what the command line says, else what a container image does.
fn spec(options: &Options, disks: &Disks, defaults: &Defaults) -> Result<Spec> {
    let User { uid, gid } = user(options, defaults);
    let args = options.job.iter().map(|word| word.as_bytes().to_vec());
    let own = defaults.args.iter().map(|word| word.as_bytes().to_vec());
    let mut seed = [0; 32];
    rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Spec {
        args: match options.job.is_empty() {
            false => args.collect(),
            true => own.collect(),
        },
        env: environment(options, defaults),
        cwd: match &options.cwd {
            Some(cwd) => cwd.as_bytes().to_vec(),
            None => defaults.cwd.clone().into_bytes(),
        },
        hostname: options.hostname.clone().into_bytes(),
        uid,
        gid,
        seed,
        time: u64::try_from(now.as_nanos())?,
        console: Some(qemu::CHANNEL_SLOT),
        disks: disks.all.iter().map(|disk| disk.disk.clone()).collect(),
        timeout_ms: options
            .timeout
            .map_or(Ok(0), |limit| u64::try_from(limit.as_millis()))?,
        tty: options.tty,
        strace: options.strace,
        report: options.report.is_some(),
        verbose: options.verbose,
        stdin: options.interactive || options.tty || !terminal::present(),
        closed: closed_by_the_caller(),
        window: terminal::window()
            .filter(|_| options.tty)
            .unwrap_or_default(),
    })
}

/// Which of descriptors 0, 1 and 2 the caller has closed. Before this program gets to look, its
/// runtime has put `/dev/null` in their place; `run.sh` looks earlier and tells.
fn closed_by_the_caller() -> [bool; 3] {
    let told = std::env::var("KILN_CLOSED").unwrap_or_default();
    ['0', '1', '2'].map(|digit| told.contains(digit))
}

fn user(options: &Options, defaults: &Defaults) -> User {
    let (uid, gid) = defaults.user.unwrap_or((0, 0));
    options.user.unwrap_or(User { uid, gid })
}

/// The fixed variables, then a container image's, then `--env` in order; a later one replaces an
/// earlier one of its name.
fn environment(options: &Options, defaults: &Defaults) -> Vec<Vec<u8>> {
    let home = match (&defaults.home, options.user) {
        (Some(home), None) => home,
        _ if user(options, defaults).uid == 0 => "/root",
        _ => "/",
    };
    let mut all: Vec<Vec<u8>> = vec![PATH.into(), [b"HOME=", home.as_bytes()].concat()];
    if options.tty {
        let term = std::env::var_os("TERM").unwrap_or_else(|| OsString::from("vt100"));
        all.push([b"TERM=", term.as_bytes()].concat());
    }
    for entry in &defaults.env {
        set(&mut all, entry.clone().into_bytes());
    }
    for entry in &options.env {
        match (entry.as_bytes().contains(&b'='), std::env::var_os(entry)) {
            (true, _) => set(&mut all, entry.as_bytes().to_vec()),
            (false, Some(value)) => {
                set(
                    &mut all,
                    [entry.as_bytes(), b"=", value.as_bytes()].concat(),
                );
            }
            (false, None) => {}
        }
    }
    all
}

fn set(all: &mut Vec<Vec<u8>>, entry: Vec<u8>) {
    let name = |entry: &[u8]| entry.split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
    all.retain(|old| name(old) != name(&entry));
    all.push(entry);
}

/// The launcher's and QEMU's ends of everything between them. All are anonymous: whatever ends the
/// launcher, no file is left.
struct Wiring {
    channel: OwnedFd,
    qemu_channel: OwnedFd,
    job: File,
    record: File,
    voice: (OwnedFd, OwnedFd),
    serial: Option<(OwnedFd, OwnedFd)>,
}

/// The launcher's ends once QEMU runs.
struct Ends {
    channel: OwnedFd,
    record: File,
    voice: OwnedFd,
    serial: Option<OwnedFd>,
}

impl Wiring {
    fn new(serial: bool) -> Result<Self> {
        let (channel, qemu_channel) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let memory = |name: &str| memfd_create(name, MemfdFlags::CLOEXEC).map(File::from);
        let pipe = || {
            use rustix::pipe::{PipeFlags, pipe_with};
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
        };
        Ok(Self {
            channel,
            qemu_channel,
            job: memory("kiln-job")?,
            record: memory("kiln-record")?,
            voice: pipe()?,
            serial: serial.then(pipe).transpose()?,
        })
    }
}

/// How the started QEMU names a descriptor it inherits.
fn inherited(fd: impl AsFd) -> Result<PathBuf> {
    fcntl_setfd(&fd, FdFlags::empty())?;
    Ok(PathBuf::from(format!(
        "/proc/self/fd/{}",
        fd.as_fd().as_raw_fd()
    )))
}

fn start(mut machine: Machine, wiring: Wiring) -> Result<(Child, Ends)> {
    fcntl_setfd(&wiring.qemu_channel, FdFlags::empty())?;
    let wires = Wires {
        channel: format!("fd={}", wiring.qemu_channel.as_raw_fd()),
        record: inherited(&wiring.record)?,
        job: inherited(&wiring.job)?,
    };
    machine.serial = match &wiring.serial {
        Some((_, write_end)) => Some(inherited(write_end)?),
        None => None,
    };
    let qemu = leash::command(qemu::PROGRAM)
        .args(qemu::arguments(&machine, &wires))
        .stdin(Stdio::null())
        .stdout(wiring.voice.1.try_clone()?)
        .stderr(wiring.voice.1)
        .spawn()
        .context("QEMU can't be started")?;
    let ends = Ends {
        channel: wiring.channel,
        record: wiring.record,
        voice: wiring.voice.0,
        serial: wiring.serial.map(|(read_end, _)| read_end),
    };
    Ok((qemu, ends))
}

/// For people: the same machine, with names where the launcher would pass descriptors.
fn print_command(machine: &Machine) {
    let wires = Wires {
        channel: "path=kiln.channel,server=on,wait=off".to_owned(),
        record: PathBuf::from("kiln.record"),
        job: PathBuf::from("kiln.job"),
    };
    let mut machine = machine.clone();
    machine.serial = machine.serial.map(|_| PathBuf::from("kiln.serial"));
    let mut words = vec![OsString::from(qemu::PROGRAM)];
    words.extend(qemu::arguments(&machine, &wires));
    let mut line = OsString::from(qemu::quoted(&words)).into_vec();
    line.push(b'\n');
    // A caller that doesn't read it doesn't want it.
    let _ = std::io::stdout().write_all(&line);
}

fn contents(mut file: File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
