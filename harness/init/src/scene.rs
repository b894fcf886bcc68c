//! Setting the scene: modules, the specification, the mounted tree; and leaving its disks as they
//! should be found.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use kiln_core::job::{FW_CFG_NAME, Spec};
use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount as mount_at};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime, clock_settime};

/// Where the launcher has put the modules, named so that their order is the one to load them in.
const MODULES: &str = "/modules";
/// Where the root is while it is put together.
const NEW_ROOT: &str = "/root";
/// Announces the disk with a root that isn't one of the job's own.
const ROOT_WORD: &str = "kiln.root=";
const NOTHING: Option<&str> = None;

/// Loads the modules, and with them brings up the devices.
pub(crate) fn modules() -> Result<()> {
    mounted("proc", "/proc", "proc", MsFlags::empty(), "")?;
    mounted("sysfs", "/sys", "sysfs", MsFlags::empty(), "")?;
    mounted("devtmpfs", "/dev", "devtmpfs", MsFlags::empty(), "")?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(MODULES).context(MODULES)? {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        let file = File::open(&path)?;
        finit_module(&file, c"", ModuleInitFlags::empty())
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// The job's specification, out of fw_cfg.
pub(crate) fn specification() -> Result<Spec> {
    let path = format!("/sys/firmware/qemu_fw_cfg/by_name/{FW_CFG_NAME}/raw");
    let bytes = fs::read(&path).context(path)?;
    Spec::decode(&bytes).map_err(|bad| anyhow!("the job specification's `{}` is wrong", bad.0))
}

/// Mounts everything as Kiln does and makes it the root.
pub(crate) fn mount(spec: &Spec) -> Result<()> {
    set_clock(spec.time)?;
    fs::write("/sys/class/net/lo/flags", "0x49").context("bringing up the loopback")?;
    let name = String::from_utf8_lossy(&spec.hostname).into_owned();
    nix::unistd::sethostname(if name.is_empty() { "kiln" } else { &name })?;
    mount_root(spec)?;
    for (kind, place) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("devpts", "/dev/pts"),
        ("tmpfs", "/dev/shm"),
        ("mqueue", "/dev/mqueue"),
        ("cgroup2", "/sys/fs/cgroup"),
    ] {
        let place = format!("{NEW_ROOT}{place}");
        // The root may be read-only; then it has the place.
        let _ = fs::create_dir_all(&place);
        let data = match kind {
            "devpts" => "mode=620,gid=5,ptmxmode=666",
            "tmpfs" => "mode=1777",
            _ => "",
        };
        match mount_at(
            Some(kind),
            place.as_str(),
            Some(kind),
            MsFlags::empty(),
            Some(data),
        ) {
            // A small kernel has less: no such file system, or not even the place for it.
            Ok(()) | Err(Errno::ENODEV | Errno::ENOENT) => {}
            Err(error) => return Err(error).context(format!("mounting {kind} at {place}")),
        }
    }
    for (from, to) in [
        ("/proc/self/fd", "fd"),
        ("fd/0", "stdin"),
        ("fd/1", "stdout"),
        ("fd/2", "stderr"),
    ] {
        let _ = std::os::unix::fs::symlink(from, format!("{NEW_ROOT}/dev/{to}"));
    }
    for (number, disk) in spec.disks.iter().enumerate() {
        if !disk.mountpoint.is_empty() && disk.mountpoint != b"/" {
            let mut place = NEW_ROOT.as_bytes().to_vec();
            place.extend_from_slice(&disk.mountpoint);
            let place = Path::new(OsStr::from_bytes(&place));
            let _ = fs::create_dir_all(place);
            mount_disk(&device(number)?, place, disk.read_only)?;
        }
    }
    std::env::set_current_dir(NEW_ROOT)?;
    mount_at(Some("."), "/", NOTHING, MsFlags::MS_MOVE, NOTHING).context("moving the root")?;
    nix::unistd::chroot(".")?;
    Ok(std::env::set_current_dir("/")?)
}

/// Brings what is mounted from disks to them.
pub(crate) fn take_down(spec: &Spec) -> Result<()> {
    nix::unistd::sync();
    for disk in spec.disks.iter().rev() {
        if !disk.mountpoint.is_empty() && !disk.read_only {
            let place = Path::new(OsStr::from_bytes(&disk.mountpoint));
            let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mount_at(NOTHING, place, NOTHING, flags, NOTHING)
                .with_context(|| format!("what was written to {}", place.display()))?;
        }
    }
    Ok(())
}

/// The root: one of the job's disks, or an EROFS image below a layer in memory.
fn mount_root(spec: &Spec) -> Result<()> {
    if let Some(number) = spec.disks.iter().position(|disk| disk.mountpoint == b"/") {
        let read_only = spec.disks.get(number).is_some_and(|disk| disk.read_only);
        return mount_disk(&device(number)?, Path::new(NEW_ROOT), read_only);
    }
    let line = fs::read_to_string("/proc/cmdline")?;
    let number = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix(ROOT_WORD))
        .context("no root is named")?;
    mounted(
        "layer",
        "/layer",
        "tmpfs",
        MsFlags::empty(),
        "size=100%,mode=755",
    )?;
    for dir in ["/layer/lower", "/layer/upper", "/layer/work"] {
        fs::create_dir(dir)?;
    }
    let device = device(number.parse()?)?;
    mounted(&device, "/layer/lower", "erofs", MsFlags::MS_RDONLY, "")?;
    let layers = "lowerdir=/layer/lower,upperdir=/layer/upper,workdir=/layer/work";
    mounted("overlay", NEW_ROOT, "overlay", MsFlags::empty(), layers)
}

fn mount_disk(device: &str, place: &Path, read_only: bool) -> Result<()> {
    let mut flags = MsFlags::MS_RELATIME;
    flags.set(MsFlags::MS_RDONLY, read_only);
    mount_at(Some(device), place, Some("ext4"), flags, NOTHING)
        .with_context(|| format!("mounting {device} at {}", place.display()))
}

fn mounted(source: &str, place: &str, kind: &str, flags: MsFlags, data: &str) -> Result<()> {
    mount_at(Some(source), place, Some(kind), flags, Some(data))
        .with_context(|| format!("mounting {kind} at {place}"))
}

fn device(number: usize) -> Result<String> {
    let letter = ('a'..='z')
        .nth(number)
        .context("there are too many disks")?;
    Ok(format!("/dev/vd{letter}"))
}

/// The machine has no clock of its own; the launcher told what time it was when QEMU began.
fn set_clock(started: u64) -> Result<()> {
    let up = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    let second = 1_000_000_000;
    let seconds = i64::try_from(started / second)?;
    let rest = i64::try_from(started % second)?;
    let now = TimeSpec::new(seconds, rest) + up;
    clock_settime(ClockId::CLOCK_REALTIME, now).context("setting the clock")
}
