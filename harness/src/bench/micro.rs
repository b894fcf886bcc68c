//! `bench.sh micro`: what single operations cost, the same static program on both kernels.
//!
//! The program marks the begin and the end of each batch (`userland/src/bench`); the counting plugin
//! says how many guest instructions lie between. Passes without it give wall time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use kiln_core::job::{Disk, Spec};
use serde_json::{Value, json};

use super::guest::{DISK_SLOT, Guest};
use super::programs;
use super::stats::{geometric_mean, interval, median};
use crate::linux::kernel as linux;
use crate::root;

/// What a run needs to find.
pub struct Inputs {
    /// Kiln's ELF.
    pub kernel: PathBuf,
    /// The static program, `behave`.
    pub program: PathBuf,
    /// The counting plugin.
    pub plugin: PathBuf,
    /// Where fetched and made things are kept.
    pub cache: PathBuf,
    /// Which Linux stands beside it.
    pub peer: Peer,
    /// Passes with the host's clock; 0: instructions only.
    pub rounds: usize,
    /// The program's arguments: all measures, or only those whose names contain one of these.
    pub words: Vec<String>,
}

/// A Linux to compare with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Peer {
    /// Debian's cloud kernel, tuned by its command line.
    Cloud,
    /// A kernel with next to nothing in it.
    Minimal,
}

impl Peer {
    /// Its name, and itself.
    pub(super) fn prepare(self, cache: &Path) -> Result<(&'static str, linux::Linux)> {
        Ok(match self {
            Self::Cloud => ("Linux (cloud)", linux::prepare(cache)?),
            Self::Minimal => ("Linux (minimal)", linux::prepare_minimal(cache)?),
        })
    }
}

/// Instructions or nanoseconds by measure, in the order they were taken; without a number where
/// the kernel lacks what the measure needs.
type Figures = Vec<(String, Option<f64>)>;

/// One measure of both.
pub struct Row {
    /// The measure.
    pub name: String,
    /// Instructions on Kiln and on Linux.
    pub instructions: [Option<f64>; 2],
    /// Medians of nanoseconds on Kiln and on Linux; `None` without rounds.
    pub wall: [Option<f64>; 2],
}

impl Row {
    /// Kiln's instructions for one of Linux's.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        of(self.instructions)
    }
}

fn of([kiln, linux]: [Option<f64>; 2]) -> Option<f64> {
    Some(kiln? / linux.filter(|linux| *linux > 0.0)?)
}

/// Enough for 256 MiB twice and for a directory of 100,000 names.
const MEMORY: &str = "768M";

/// Measures and prints; gives the figures as JSON, and the ratios of instructions for a picture.
///
/// # Errors
/// When something can't be fetched, made or booted.
pub fn run(inputs: &Inputs) -> Result<(Value, Vec<(String, f64)>)> {
    let (rows, peer) = measure(inputs, MEMORY)?;
    print(&rows, peer);
    let ratios = rows
        .iter()
        .filter_map(|row| Some((row.name.clone(), row.ratio()?)));
    Ok((to_json(&rows, peer), ratios.collect()))
}

/// Measures on both, and tells the peer's name.
pub(super) fn measure(inputs: &Inputs, memory: &str) -> Result<(Vec<Row>, &'static str)> {
    let scratch = tempfile::tempdir()?;
    let guests = [
        kiln_guest(inputs, scratch.path())?,
        linux_guest(inputs, scratch.path())?,
    ];
    let [kiln, linux] = &guests;
    let count = |guest: &Guest| {
        let guest = &under_icount(guest);
        let (said, marks) = guest.listen(memory, Some(&inputs.plugin), scratch.path())?;
        counted(figures(&said)?, &marks).context(guest.name)
    };
    let both = [count(kiln)?, count(linux)?];
    let mut walls = [Vec::new(), Vec::new()];
    for _ in 0..inputs.rounds {
        for (guest, walls) in guests.iter().zip(&mut walls) {
            let (said, _) = guest.listen(memory, None, scratch.path())?;
            let figures = figures(&said).context(guest.name)?;
            walls.push(
                figures
                    .into_iter()
                    .map(|figure| (figure.name, figure.ns))
                    .collect(),
            );
        }
    }
    Ok((rows(&both, &walls), linux.name))
}

/// The same where time is what has been executed: batches are as long however busy the host is.
fn under_icount(guest: &Guest) -> Guest {
    let (usual, told) = (CLOCK, "tsc_early_khz=1000000");
    Guest {
        icount: true,
        append: guest.append.replace(usual, told),
        ..guest.clone()
    }
}

/// The rate of the clock, as Linux is told.
const CLOCK: &str = "tsc_early_khz=2000000";

/// An empty ext4 file system.
fn disk(scratch: &Path) -> Result<PathBuf> {
    let image = scratch.join("disk");
    let file = std::fs::File::create(&image)?;
    file.set_len(256 << 20)?;
    let made = std::process::Command::new(crate::recipe::program("mke2fs")?)
        .args([
            "-q",
            "-F",
            "-t",
            "ext4",
            "-b",
            "4096",
            "-E",
            "lazy_itable_init=0,lazy_journal_init=0",
        ])
        .arg(&image)
        .status()?;
    ensure!(made.success(), "mke2fs: {made}");
    Ok(image)
}

/// Kiln, with the bench's program as its job.
pub(super) fn kiln_guest(inputs: &Inputs, scratch: &Path) -> Result<Guest> {
    let dir = scratch.join("root");
    for name in ["bin", "dev", "proc", "tmp"] {
        std::fs::create_dir_all(dir.join(name))?;
    }
    for (name, bytes) in programs::read(&inputs.program, scratch)? {
        programs::install(&dir.join(name), &bytes)?;
    }
    let spec = Spec {
        args: [&b"/bin/behave"[..], b"bench"]
            .map(<[u8]>::to_vec)
            .into_iter()
            .chain(inputs.words.iter().map(|word| word.clone().into_bytes()))
            .collect(),
        disks: vec![Disk {
            slot: DISK_SLOT,
            fs_type: "ext4".to_owned(),
            read_only: false,
            mountpoint: b"/disk".to_vec(),
        }],
        env: vec![b"PATH=/bin".to_vec()],
        seed: [7; 32],
        window: (24, 80),
        ..Spec::default()
    };
    let job = scratch.join("job");
    std::fs::write(&job, spec.encode())?;
    Ok(Guest {
        name: "Kiln",
        kernel: inputs.kernel.clone(),
        initrd: root::find(Some(&dir), 640 << 20)?.image,
        // Without a channel the job's output goes to the serial line, where that is in use.
        append: "verbose".to_owned(),
        disk: Some(disk(scratch)?),
        icount: false,
        job: Some(job),
        user_entry: 0,
        status: 0x21,
    })
}

fn linux_guest(inputs: &Inputs, scratch: &Path) -> Result<Guest> {
    let (name, linux) = inputs.peer.prepare(&inputs.cache)?;
    let initrd = scratch.join("initramfs.cpio");
    let files = programs::read(&inputs.program, scratch)?;
    std::fs::write(&initrd, linux::initramfs(&["bin"], &files)?)?;
    eprintln!("bench: beside Linux {}", linux.release);
    Ok(Guest {
        name,
        kernel: linux.vmlinux,
        initrd,
        // Slot 1 of QEMU's virtio-mmio, and its line (`DISK_SLOT`): there is no ACPI to name it.
        append: format!(
            "console=ttyS0 loglevel=5 printk.time=0 printk.devkmsg=on panic=-1 reboot=t mitigations=off rdinit=/bin/behave \
                 {CLOCK} random.trust_cpu=on audit=0 selinux=0 apparmor=0 virtio_mmio.device=512@0xfeb00200:6 BENCH={}",
            inputs.words.join(",")
        ),
        disk: Some(disk(scratch)?),
        icount: false,
        job: None,
        user_entry: 0,
        status: 0,
    })
}

/// What the program prints of one measure.
#[derive(PartialEq, Debug)]
pub(super) struct Figure {
    pub(super) name: String,
    /// Nanoseconds an operation; `None`: the kernel lacks what it needs.
    pub(super) ns: Option<f64>,
    /// Operations in a batch.
    operations: f64,
}

/// The lines `NAME NANOSECONDS OPERATIONS` between whatever else the kernel says, up to the closing
/// line.
pub(super) fn figures(said: &str) -> Result<Vec<Figure>> {
    let mut found = Vec::new();
    for line in said.lines() {
        if line.trim() == "bench ends" {
            return Ok(found);
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, ns, operations) = match words.as_slice() {
            [name, "-"] => (name, None, 1.0),
            [name, ns, operations] => match (ns.parse(), operations.parse()) {
                (Ok(ns), Ok(operations)) => (name, Some(ns), operations),
                _ => continue,
            },
            _ => continue,
        };
        found.push(Figure {
            name: (*name).to_owned(),
            ns,
            operations,
        });
    }
    let last = said.lines().last().unwrap_or_default();
    bail!("the measures end early: {last:?}")
}

/// Batches of a measure, two marks each (`BATCHES` in `userland/src/bench`).
const BATCHES: usize = 4;

/// Instructions an operation: the least of the batches between a measure's marks.
fn counted(figures: Vec<Figure>, marks: &[u64]) -> Result<Figures> {
    let wanted = figures.iter().filter(|figure| figure.ns.is_some()).count();
    ensure!(
        marks.len() == wanted * BATCHES * 2,
        "{} marks of {wanted} measures",
        marks.len()
    );
    let mut batches = marks.chunks(BATCHES * 2);
    let count = |figure: Figure| {
        let batch = figure.ns.and_then(|_| batches.next());
        let least = batch.and_then(|marks| {
            let spans = marks.chunks(2).map(|pair| match pair {
                [from, to] => to.saturating_sub(*from),
                _ => u64::MAX,
            });
            spans.min()
        });
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
        let each = least.map(|least| least as f64 / figure.operations);
        (figure.name, each)
    };
    Ok(figures.into_iter().map(count).collect())
}

fn rows([kiln, linux]: &[Figures; 2], walls: &[Vec<Figures>; 2]) -> Vec<Row> {
    let linux: BTreeMap<&str, Option<f64>> = linux
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let wall = |passes: &Vec<Figures>, name: &str| {
        let values: Vec<f64> = passes
            .iter()
            .filter_map(|figures| figures.iter().find(|(other, _)| other == name)?.1)
            .collect();
        (!values.is_empty()).then(|| median(&values))
    };
    let [kiln_walls, linux_walls] = walls;
    kiln.iter()
        .map(|(name, value)| {
            let other = linux.get(name.as_str()).copied().flatten();
            Row {
                name: name.clone(),
                instructions: [*value, other],
                wall: [wall(kiln_walls, name), wall(linux_walls, name)],
            }
        })
        .collect()
}

pub(super) fn print(rows: &[Row], peer: &str) {
    println!(
        "{:<26} {:>12} {:>12} {:>7} {:>12} {:>12} {:>7}",
        "measure", "Kiln insns", "Linux insns", "ratio", "Kiln ns", "Linux ns", "ratio"
    );
    let shown = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    for row in rows {
        let mark = if row.ratio().is_some_and(|ratio| ratio > 1.0) {
            "  <- slower"
        } else {
            ""
        };
        println!(
            "{:<26} {:>12} {:>12} {:>7} {:>12} {:>12} {:>7}{mark}",
            row.name,
            shown(row.instructions[0], 0),
            shown(row.instructions[1], 0),
            shown(row.ratio(), 2),
            shown(row.wall[0], 0),
            shown(row.wall[1], 0),
            shown(of(row.wall), 2),
        );
    }
    let mean = |ratios: Vec<f64>| shown((!ratios.is_empty()).then(|| geometric_mean(&ratios)), 3);
    let walls: Vec<f64> = rows.iter().filter_map(|row| of(row.wall)).collect();
    let [low, high] = interval(&walls);
    println!(
        "geometric mean of Kiln to {peer}: instructions {}, wall {} (95 %: {low:.3} to {high:.3})",
        mean(rows.iter().filter_map(Row::ratio).collect()),
        mean(walls),
    );
}

pub(super) fn to_json(rows: &[Row], peer: &str) -> Value {
    let measures: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "name": row.name,
                "kiln_instructions": row.instructions[0], "linux_instructions": row.instructions[1],
                "kiln_ns": row.wall[0], "linux_ns": row.wall[1],
            })
        })
        .collect();
    json!({ "peer": peer, "measures": measures })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_among_messages() {
        let said = "Kernel panic - not syncing\ngetppid 12.5 100\r\nmissing -\nbench ends\nx 1 1\n";
        let found = figures(said).unwrap();
        assert_eq!(found.len(), 2);
        assert!(figures("getppid 12.5 100\n").is_err());
        let marks = [0, 1000, 2000, 2500, 3000, 4000, 5000, 6000];
        let wanted = vec![
            ("getppid".to_owned(), Some(5.0)),
            ("missing".to_owned(), None),
        ];
        assert_eq!(counted(found, &marks).unwrap(), wanted);
        assert!(counted(figures(said).unwrap(), &marks[1..]).is_err());
    }

    #[test]
    fn a_row_holds_both() {
        let figures = |value| vec![("a".to_owned(), Some(value)), ("b".to_owned(), None)];
        let walls = [
            vec![figures(3.0), figures(1.0), figures(2.0)],
            vec![figures(4.0)],
        ];
        let rows = rows(&[figures(1.0), figures(4.0)], &walls);
        assert_eq!(rows[0].ratio(), Some(0.25));
        assert_eq!(rows[0].wall, [Some(2.0), Some(4.0)]);
        assert_eq!(rows[1].ratio(), None);
    }
}
