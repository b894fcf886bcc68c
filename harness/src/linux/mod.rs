//! The same job on Linux: Debian's cloud kernel in the machine that Kiln would have, and around it the
//! same launcher. `harness/init` is its first process: it mounts what Kiln mounts and speaks the
//! channel's format, so that everything from the options to the report is shared.
//!
//! With `KILN_LINUX=minimal` in the environment the kernel is the smallest one (`kernel::prepare_minimal`).
//!
//! What differs from a run on Kiln: a root that isn't an ext4 image is one more disk below an overlay
//! in memory; standard input is read ahead of the job; there is no `-t` and no `--strace`.

pub mod kernel;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};

use crate::options::Options;
use crate::qemu::{Drive, Guest, MAX_DISKS, Machine};
use crate::{cache, root};
use kernel::Linux;

/// Modules that the machine needs, in an order in which each finds what it uses.
const MODULES: [&str; 9] = [
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_mmio.ko",
    "drivers/block/virtio_blk.ko",
    "drivers/char/virtio_console.ko",
    "drivers/firmware/qemu_fw_cfg.ko",
    "lib/libcrc32c.ko",
    "fs/erofs/erofs.ko",
    "fs/overlayfs/overlay.ko",
];

/// Turns Kiln's machine into Linux's.
///
/// # Errors
/// When the kernel can't be had, or the options ask for what it can't do.
pub fn instead(machine: &mut Machine, options: &Options) -> Result<()> {
    if options.tty || options.strace {
        bail!("-t and --strace are for jobs on Kiln");
    }
    let cache = cache::directory()?;
    let small = std::env::var_os("KILN_LINUX").is_some_and(|word| word == "minimal");
    let linux = match small {
        true => kernel::prepare_minimal(&cache)?,
        false => kernel::prepare(&cache)?,
    };
    let mut append = format!(
        "panic=-1 reboot=t mitigations=off rdinit=/init tsc_early_khz={} random.trust_cpu=on audit=0 \
         selinux=0 apparmor=0",
        clock_khz()
    );
    if small {
        // QEMU's ports of fw_cfg (docs/specs/fw_cfg.rst), which nothing else tells it.
        append.push_str(" qemu_fw_cfg.ioport=12@0x510:0:1:4");
    }
    append.push_str(match options.verbose {
        true => " console=ttyS0",
        false => " quiet 8250.nr_uarts=0",
    });
    if let Some(image) = machine.initrd.replace(initramfs(&linux)?) {
        append.push_str(&format!(" kiln.root={}", machine.drives.len()));
        machine.drives.push(root_drive(image)?);
        if machine.drives.len() > MAX_DISKS {
            bail!("with the root, there are more than {MAX_DISKS} disks");
        }
    }
    if let Some(more) = &options.append {
        append = format!("{append} {more}");
    }
    machine.guest = if small {
        Guest::SmallLinux
    } else {
        Guest::Linux
    };
    if options.kernel.is_none() {
        machine.kernel = linux.vmlinux;
    }
    machine.append = append;
    Ok(())
}

/// Kiln's boot module as a disk.
fn root_drive(image: PathBuf) -> Result<Drive> {
    if !root::is_erofs(&image)? {
        bail!("Linux can't have a cpio as its root here; a tar or a directory will do");
    }
    Ok(Drive {
        file: image,
        read_only: true,
        scratch: true,
        snapshot: false,
    })
}

/// The initramfs with the first process and the modules.
fn initramfs(linux: &Linux) -> Result<PathBuf> {
    let init = root::project().join("target/x86_64-unknown-linux-gnu/release/kiln-linux-init");
    let meta = fs::metadata(&init)
        .with_context(|| format!("{} (harness/linux.sh builds it)", init.display()))?;
    let age = meta.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    let name = format!("linux-{}-{age:x}.cpio", linux.release);
    cache::image(&name, |file| {
        let mut files = vec![("init".to_owned(), fs::read(&init)?)];
        let modules = if linux.modules.as_os_str().is_empty() {
            &[][..]
        } else {
            &MODULES[..]
        };
        for (number, module) in modules.iter().enumerate() {
            let path = linux.modules.join(module);
            let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
            files.push((format!("modules/{number:02}"), bytes));
        }
        let dirs = ["dev", "proc", "sys", "root", "layer", "modules"];
        Ok(file.write_all(&kernel::initramfs(&dirs, &files)?)?)
    })
}

/// The time stamp counter's frequency, which Linux can't measure on a busy host. In a VM, and on most
/// hosts, it is what the first CPU is said to run at.
fn clock_khz() -> u64 {
    const UNKNOWN: u64 = 2_000_000;
    let info = fs::read_to_string(Path::new("/proc/cpuinfo")).unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("cpu MHz"));
    let mhz = line.and_then(|line| line.split(": ").nth(1)?.trim().split_once('.'));
    let khz = mhz.and_then(|(whole, part)| {
        let part = part.get(..3)?;
        Some(whole.parse::<u64>().ok()? * 1000 + part.parse::<u64>().ok()?)
    });
    khz.unwrap_or(UNKNOWN)
}
