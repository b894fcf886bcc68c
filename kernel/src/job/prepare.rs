//! Setting the scene: the specification read, the channel opened, the tree mounted.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::perm::Identity;
use kiln_core::job::{Disk, FW_CFG_NAME, Spec};
use kiln_core::report::Ending;

use crate::arch::{self, DebugExit};
use crate::drivers::block::{self, BlockDevice};
use crate::drivers::fw_cfg::{self, FwCfgError};
use crate::drivers::virtio::blk::VirtioBlk;
use crate::drivers::{channel, random, serial};
use crate::fs::stdio::Stdio;
use crate::fs::vfs::{self, Node};
use crate::fs::{self, FsContext, Lookup, MountFlags};
use crate::process::{host, proc};

/// Everything is brought to its disk and left as it should be found.
///
/// # Errors
/// The first failure.
pub(super) fn take_down() -> Result<(), Errno> {
    vfs::unmount_all()
}

/// Everything the program needs around it.
pub(super) struct Scene {
    pub(super) spec: Spec,
    pub(super) fs: Arc<FsContext>,
    pub(super) stdio: Stdio,
}

/// Why there is no scene.
pub(super) struct Failure {
    pub(super) ending: Ending,
    pub(super) reason: String,
}

impl Failure {
    fn bad_job(reason: String) -> Self {
        Self {
            ending: Ending::BadJob,
            reason,
        }
    }
}

/// Reads the specification and does what it says, short of starting the program.
pub(super) fn scene() -> Result<Scene, Failure> {
    let spec = specification()?;
    random::seed(&spec.seed);
    fs::clock::set_boot_time(spec.time);
    if let Some(slot) = spec.console {
        channel::init(slot, spec.stdin)
            .map_err(|error| Failure::bad_job(format!("the channel: {error}")))?;
    }
    let fs = tree()?;
    register_disks(&spec)?;
    let fs = match spec.disks.iter().position(|disk| disk.mountpoint == b"/") {
        Some(number) => tree_on_disk(&spec, number, &fs)?,
        None => fs,
    };
    if !spec.hostname.is_empty() {
        host::set_host_name(&spec.hostname)
            .map_err(|errno| Failure::bad_job(format!("the host name: {}", errno.description())))?;
    }
    mount_disks(&spec, &fs)?;
    check_directory(&spec, &fs)?;
    let stdio = fs::stdio::open(&fs, &spec).map_err(|errno| {
        Failure::bad_job(format!("the standard streams: {}", errno.description()))
    })?;
    Ok(Scene { spec, fs, stdio })
}

/// The mounted tree: the root from the boot module, `/dev` and `/proc`.
fn tree() -> Result<Arc<FsContext>, Failure> {
    let failed = |errno: Errno| Failure::bad_job(format!("/proc: {}", errno.description()));
    proc::register();
    let namespace = fs::init(crate::initrd()).map_err(|bad| Failure::bad_job(format!("{bad}")))?;
    FsContext::new(namespace).map_err(failed)
}

/// The tree whose root is disk `number`, in place of the one there was.
fn tree_on_disk(
    spec: &Spec,
    number: usize,
    fs: &Arc<FsContext>,
) -> Result<Arc<FsContext>, Failure> {
    let (Some(disk), Some(letter)) = (spec.disks.get(number), ('a'..='z').nth(number)) else {
        return Err(Failure::bad_job(String::from(
            "the root's disk isn't there",
        )));
    };
    let device = format!("/dev/vd{letter}");
    let kind = file_system_of(disk);
    let lookup = Lookup::new(fs, Identity::KERNEL);
    fs::root_on_disk(&lookup, device.as_bytes(), kind, mount_flags(disk))
        .and_then(FsContext::new)
        .map_err(|errno| cannot_mount(disk, &device, errno))
}

fn cannot_mount(disk: &Disk, device: &str, errno: Errno) -> Failure {
    let place = String::from_utf8_lossy(&disk.mountpoint);
    let (kind, why) = (&disk.fs_type, errno.description());
    Failure::bad_job(format!("mounting {device} at {place} as {kind}: {why}"))
}

/// The one kind of file system on disks, whatever it calls itself.
fn file_system_of(disk: &Disk) -> &[u8] {
    match disk.fs_type.as_bytes() {
        b"auto" => b"ext4",
        kind => kind,
    }
}

fn mount_flags(disk: &Disk) -> MountFlags {
    let mut flags = MountFlags::RELATIME;
    flags.set(MountFlags::READ_ONLY, disk.read_only);
    flags
}

fn specification() -> Result<Spec, Failure> {
    let bytes = match fw_cfg::read(FW_CFG_NAME) {
        Ok(bytes) => bytes,
        Err(FwCfgError::NotFound) => idle_boot(),
        Err(error) => {
            let reason = format!("reading the job from fw_cfg ({FW_CFG_NAME}): {error}");
            return Err(Failure::bad_job(reason));
        }
    };
    Spec::decode(&bytes)
        .map_err(|bad| Failure::bad_job(format!("the job specification's `{}` is wrong", bad.0)))
}

/// A working directory that isn't there is the caller's mistake, not the program's.
fn check_directory(spec: &Spec, fs: &Arc<FsContext>) -> Result<(), Failure> {
    if spec.cwd.is_empty() {
        return Ok(());
    }
    let lookup = Lookup::new(fs, Identity::KERNEL);
    let path = &*spec.cwd;
    vfs::directory(&lookup, path).map(drop).map_err(|errno| {
        let path = String::from_utf8_lossy(path);
        Failure::bad_job(format!(
            "the working directory {path}: {}",
            errno.description()
        ))
    })
}

/// Booted without the launcher, there is nothing to run. That is no failure, and no job's status
/// either: there is no record, which the launcher would take for a failure.
fn idle_boot() -> ! {
    serial::write(b"kiln: no job was given in fw_cfg; nothing to do\n");
    arch::exit(DebugExit::JobZero)
}

/// Opens the disks in the order of their names.
fn register_disks(spec: &Spec) -> Result<(), Failure> {
    let mut disks: Vec<Arc<dyn BlockDevice>> = Vec::new();
    for (disk, letter) in spec.disks.iter().zip('a'..='z') {
        let name = format!("vd{letter}");
        let device = VirtioBlk::probe(disk.slot, name.clone(), disk.read_only)
            .map_err(|error| Failure::bad_job(format!("disk {name}: {error}")))?;
        disks.push(device);
    }
    block::register(disks);
    fs::blockdev::init()
        .map_err(|errno| Failure::bad_job(format!("making /dev/vd*: {}", errno.description())))?;
    // Those that are mounted as they are have no partitions to look for.
    for (number, _) in (0..)
        .zip(&spec.disks)
        .filter(|(_, disk)| disk.mountpoint.is_empty())
    {
        fs::blockdev::scan_virtio(number).map_err(|errno| {
            Failure::bad_job(format!(
                "reading a partition table: {}",
                errno.description()
            ))
        })?;
    }
    Ok(())
}

/// Mounts the disks that have a place, but for the root.
fn mount_disks(spec: &Spec, fs: &Arc<FsContext>) -> Result<(), Failure> {
    for (disk, letter) in spec.disks.iter().zip('a'..='z') {
        if !disk.mountpoint.is_empty() && disk.mountpoint != b"/" {
            let name = format!("/dev/vd{letter}");
            mount(fs, disk, &name).map_err(|errno| cannot_mount(disk, &name, errno))?;
        }
    }
    Ok(())
}

/// Mounts a disk at its place, which is made where it is missing.
fn mount(fs: &Arc<FsContext>, disk: &Disk, device: &str) -> Result<(), Errno> {
    let lookup = Lookup::new(fs, Identity::KERNEL);
    match vfs::create(
        &lookup,
        &disk.mountpoint,
        &Node::new(FileType::Directory, 0o755),
    ) {
        Ok(_) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    vfs::mount(
        &lookup,
        device.as_bytes(),
        &disk.mountpoint,
        file_system_of(disk),
        mount_flags(disk),
        b"",
    )
}
