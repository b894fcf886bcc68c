//! `bench.sh boot`: from exec of QEMU to its exit, with nothing to do in between.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kiln_core::job::Spec;
use serde_json::{Value, json};

use super::empty;
use super::guest::{Counts, Guest, loaded_size, user_entry};
use super::micro::Peer;
use super::stats::{median, median_ratio};
use crate::linux::kernel as linux;
use crate::root;

/// What a run of the bench needs to find.
pub struct Inputs {
    /// Kiln's ELF.
    pub kernel: PathBuf,
    /// Kiln's root image.
    pub root: PathBuf,
    /// A static busybox, for Linux's initramfs.
    pub busybox: PathBuf,
    /// The counting plugin.
    pub plugin: PathBuf,
    /// Where fetched and made things are kept.
    pub cache: PathBuf,
    /// Which Linux stands beside it.
    pub peer: Peer,
    /// Rounds; each boots every guest once.
    pub rounds: usize,
}

const MEMORY: &str = "256M";

/// Measures and prints; gives the figures as JSON.
///
/// # Errors
/// When something can't be fetched, made or booted.
pub fn run(inputs: &Inputs) -> Result<Value> {
    let scratch = tempfile::tempdir()?;
    let root = root_with_empty(inputs, scratch.path())?;
    let with_root = |guest: Guest| Guest {
        initrd: root.clone(),
        ..guest
    };
    let guests = [
        with_root(empty_guest(inputs, scratch.path())?),
        with_root(empty_job(inputs, scratch.path())?),
        with_root(kiln_guest(inputs, scratch.path())?),
        linux_guest(inputs, scratch.path())?,
    ];
    let mut walls = vec![Vec::new(); guests.len()];
    for round in 0..=inputs.rounds {
        for (guest, walls) in guests.iter().zip(&mut walls) {
            let wall = guest.boot(MEMORY)?.as_secs_f64() * 1e3;
            // The first round fills the host's page cache.
            if round > 0 {
                walls.push(wall);
            }
        }
    }
    let mut counts = Vec::new();
    for guest in &guests {
        counts.push(guest.count(MEMORY, &inputs.plugin, scratch.path())?);
    }
    print_table(&guests, &walls, &counts)?;
    println!();
    let least = least_memory(&guests[2])?;
    println!("least memory for `busybox true`: {least}");
    let figures = guests.iter().zip(&walls).zip(&counts);
    let figures = figures.map(|((guest, walls), count)| {
        json!({
            "guest": guest.name, "ms": walls, "executed": count.executed, "translated": count.translated,
            "accesses": count.accesses, "loaded": loaded_size(&guest.kernel).ok(),
        })
    });
    Ok(json!({ "least_memory": least, "guests": figures.collect::<Vec<_>>() }))
}

fn empty_guest(inputs: &Inputs, scratch: &Path) -> Result<Guest> {
    let kernel = scratch.join("empty.elf");
    empty::write(&kernel)?;
    Ok(Guest {
        name: "empty ELF",
        kernel,
        initrd: inputs.root.clone(),
        append: String::new(),
        disk: None,
        icount: false,
        job: None,
        user_entry: user_entry(&inputs.busybox)?,
        status: 0x21,
    })
}

/// A root with busybox and the empty program.
fn root_with_empty(inputs: &Inputs, scratch: &Path) -> Result<PathBuf> {
    let dir = scratch.join("root");
    for name in ["bin", "dev", "proc", "sys", "tmp"] {
        std::fs::create_dir_all(dir.join(name))?;
    }
    std::fs::copy(&inputs.busybox, dir.join("bin/busybox"))?;
    let program = dir.join("bin/empty");
    std::fs::write(&program, empty::program())?;
    std::fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    Ok(root::find(Some(&dir), u64::MAX)?.image)
}

/// Kiln, with a job that does nothing.
fn empty_job(inputs: &Inputs, scratch: &Path) -> Result<Guest> {
    let kiln = kiln_guest(inputs, scratch)?;
    let spec = Spec {
        args: vec![b"/bin/empty".to_vec()],
        ..kiln_spec()
    };
    let job = scratch.join("empty-job");
    std::fs::write(&job, spec.encode())?;
    Ok(Guest {
        name: "Kiln, empty",
        job: Some(job),
        user_entry: user_entry(&scratch.join("root/bin/empty"))?,
        ..kiln
    })
}

fn kiln_spec() -> Spec {
    Spec {
        args: vec![b"/bin/busybox".to_vec(), b"true".to_vec()],
        env: vec![b"PATH=/bin".to_vec()],
        console: Some(0),
        seed: [7; 32],
        ..Spec::default()
    }
}

/// Kiln, with `busybox true` as its job.
pub(super) fn kiln_guest(inputs: &Inputs, scratch: &Path) -> Result<Guest> {
    let job = scratch.join("job");
    std::fs::write(&job, kiln_spec().encode())?;
    Ok(Guest {
        name: "Kiln",
        kernel: inputs.kernel.clone(),
        initrd: inputs.root.clone(),
        append: String::new(),
        disk: None,
        icount: false,
        job: Some(job),
        user_entry: user_entry(&inputs.busybox)?,
        status: 0x21,
    })
}

/// Linux runs the same program as its init; the panic that follows init's end reboots, and a
/// reboot under `-no-reboot` ends QEMU with 0.
pub(super) fn linux_guest(inputs: &Inputs, scratch: &Path) -> Result<Guest> {
    let (name, linux) = inputs.peer.prepare(&inputs.cache)?;
    let initrd = scratch.join("initramfs.cpio");
    let busybox =
        std::fs::read(&inputs.busybox).with_context(|| inputs.busybox.display().to_string())?;
    std::fs::write(
        &initrd,
        linux::initramfs(&["bin"], &[("bin/true".to_owned(), busybox)])?,
    )?;
    eprintln!("bench: beside Linux {}", linux.release);
    Ok(Guest {
        name,
        kernel: linux.vmlinux,
        initrd,
        append: "quiet panic=-1 reboot=t mitigations=off rdinit=/bin/true tsc_early_khz=2000000 \
                 8250.nr_uarts=0 random.trust_cpu=on audit=0 selinux=0 apparmor=0"
            .to_owned(),
        disk: None,
        icount: false,
        job: None,
        user_entry: user_entry(&inputs.busybox)?,
        status: 0,
    })
}

fn print_table(guests: &[Guest], walls: &[Vec<f64>], counts: &[Counts]) -> Result<()> {
    let empty = walls.first().map(Vec::as_slice).unwrap_or_default();
    println!(
        "{:<14} {:>9} {:>10} {:>12} {:>15} {:>14} {:>12} {:>9} {:>10}",
        "guest",
        "wall ms",
        "to the ELF",
        "to user us",
        "insns to user",
        "insns in all",
        "translated",
        "accesses",
        "loaded KiB"
    );
    for ((guest, wall), count) in guests.iter().zip(walls).zip(counts) {
        let reached = |value: u64| {
            if count.reached_user {
                value.to_string()
            } else {
                "-".to_owned()
            }
        };
        println!(
            "{:<14} {:>9.1} {:>10.2} {:>12} {:>15} {:>14} {:>12} {:>9} {:>10}",
            guest.name,
            median(wall),
            median_ratio(wall, empty),
            reached(count.user_us.saturating_sub(count.kernel_us)),
            reached(count.executed[1]),
            count.executed.iter().sum::<u64>(),
            count.translated.iter().sum::<u64>(),
            count.accesses,
            loaded_size(&guest.kernel)? / 1024
        );
    }
    Ok(())
}

/// The smallest of a few sizes with which the job still ends well.
fn least_memory(kiln: &Guest) -> Result<String> {
    let mut least = MEMORY.to_owned();
    for size in ["64M", "32M", "16M", "12M", "10M", "8M", "6M"] {
        if kiln.boot(size).is_err() {
            break;
        }
        least = size.to_owned();
    }
    Ok(least)
}
