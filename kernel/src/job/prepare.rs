//! Setting the scene: the specification read, the channel opened, the tree mounted.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::errno::Errno;
use kiln_core::job::{Disk, FW_CFG_NAME, Spec};
use kiln_core::report::Ending;

use crate::drivers::block::{self, BlockDevice};
use crate::drivers::virtio::blk::VirtioBlk;
use crate::drivers::{channel, fw_cfg, random};
use crate::fs::{self, File, FsContext};

/// Everything the program needs around it.
pub(super) struct Scene {
    pub(super) spec: Spec,
    pub(super) fs: Arc<FsContext>,
    pub(super) stdio: [Arc<File>; 3],
}

/// Why there is no scene.
pub(super) struct Failure {
    pub(super) ending: Ending,
    pub(super) reason: String,
}

impl Failure {
    fn bad_job(reason: String) -> Self {
        Self { ending: Ending::BadJob, reason }
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
    crate::drivers::threads_run();
    let fs = fs::init(crate::initrd()).map_err(|error| Failure::bad_job(format!("the root: {error}")))?;
    attach_disks(&spec, &fs)?;
    let stdio = fs::stdio::open(&fs, spec.tty, spec.window)
        .map_err(|errno| Failure::bad_job(format!("the standard streams: {errno}")))?;
    Ok(Scene { spec, fs, stdio })
}

fn specification() -> Result<Spec, Failure> {
    let bytes = fw_cfg::read(FW_CFG_NAME)
        .map_err(|error| Failure::bad_job(format!("no job in fw_cfg ({FW_CFG_NAME}): {error}")))?;
    Spec::decode(&bytes)
        .map_err(|bad| Failure::bad_job(format!("the job specification's `{}` is wrong", bad.0)))
}

/// Opens the disks in the order of their names, then mounts those that have a place.
fn attach_disks(spec: &Spec, fs: &Arc<FsContext>) -> Result<(), Failure> {
    let mut disks: Vec<Arc<dyn BlockDevice>> = Vec::new();
    for (disk, letter) in spec.disks.iter().zip('a'..='z') {
        let name = format!("vd{letter}");
        let device = VirtioBlk::probe(disk.slot, name.clone(), disk.read_only)
            .map_err(|error| Failure::bad_job(format!("disk {name}: {error}")))?;
        disks.push(device);
    }
    block::register(disks.clone());
    for (disk, device) in spec.disks.iter().zip(&disks) {
        if !disk.mountpoint.is_empty() {
            mount(fs, disk, device).map_err(|errno| {
                let place = String::from_utf8_lossy(&disk.mountpoint);
                let name = device.name();
                Failure::bad_job(format!("mounting {name} at {place} as {}: {errno}", disk.fs_type))
            })?;
        }
    }
    Ok(())
}

fn mount(fs: &Arc<FsContext>, disk: &Disk, device: &Arc<dyn BlockDevice>) -> Result<(), Errno> {
    fs::mount_disk(fs, device, &disk.fs_type, disk.read_only, &disk.mountpoint)
}
