//! A kernel that can be booted under QEMU and measured from outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// What is booted, with what.
#[derive(Clone)]
pub struct Guest {
    /// For the table.
    pub name: &'static str,
    /// A PVH ELF.
    pub kernel: PathBuf,
    /// Its initrd; all guests of one comparison load one of about the same size.
    pub initrd: PathBuf,
    /// Its command line.
    pub append: String,
    /// A virtio disk in slot [`DISK_SLOT`]; what is written to it vanishes.
    pub disk: Option<PathBuf>,
    /// Run under `-icount`: virtual time is the number of instructions, in nanoseconds.
    pub icount: bool,
    /// fw_cfg's job specification, for Kiln.
    pub job: Option<PathBuf>,
    /// Entry point of the program it runs.
    pub user_entry: u64,
    /// QEMU's exit status when all went well.
    pub status: i32,
}

/// Counted by the plugin and the access trace. Lists hold: before the kernel's entry point, from
/// there to the first user instruction, after it.
#[derive(Deserialize, Debug, Clone)]
pub struct Counts {
    /// Guest instructions executed.
    pub executed: [u64; 3],
    /// Guest instructions translated by TCG, repeats included.
    pub translated: [u64; 3],
    /// Microseconds from QEMU's start to the kernel's entry point.
    pub kernel_us: u64,
    /// Microseconds from QEMU's start to the first user instruction.
    pub user_us: u64,
    /// Whether user mode was reached at all.
    pub reached_user: bool,
    /// Guest instructions executed by the kernel, and by programs.
    #[serde(default)]
    pub kernel: u64,
    /// See `kernel`.
    #[serde(default)]
    pub programs: u64,
    /// Guest instructions executed up to each mark of the program's.
    #[serde(default)]
    pub marks: Vec<u64>,
    /// Port and MMIO accesses before the first user instruction, those of QEMU's boot code included.
    #[serde(default)]
    pub accesses: u64,
}

/// Where a guest's disk is.
pub const DISK_SLOT: u8 = 1;

const DEADLINE: Duration = Duration::from_secs(600);

impl Guest {
    fn command(&self, memory: &str, serial: bool) -> Command {
        let mut command = Command::new(crate::qemu::PROGRAM);
        let serial = if serial { "on" } else { "off" };
        let board = format!(
            "microvm,acpi=off,pic=off,pit=off,rtc=off,isa-serial={serial},auto-kernel-cmdline=off"
        );
        command.args([
            "-M",
            &board,
            "-accel",
            "tcg",
            "-cpu",
            "max,-erms,-fsrm",
            "-m",
            memory,
        ]);
        command.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ]);
        command.args(["-global", "virtio-mmio.force-legacy=false"]);
        command.args(["-device", "isa-debug-exit,iobase=0x501,iosize=2"]);
        command.args(["-chardev", "null,id=record"]);
        command.args(["-device", "isa-debugcon,iobase=0xe9,chardev=record"]);
        command.args(["-chardev", "null,id=channel"]);
        command.args([
            "-device",
            "virtio-serial-device,bus=virtio-mmio-bus.0,max_ports=2",
        ]);
        command.args(["-device", "virtserialport,chardev=channel,nr=1"]);
        command
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initrd);
        command.args(["-append", &self.append]);
        if let Some(disk) = &self.disk {
            let drive = "if=none,id=disk,format=raw,cache=unsafe,snapshot=on,file=";
            let device = format!("virtio-blk-device,drive=disk,bus=virtio-mmio-bus.{DISK_SLOT}");
            command.args([
                "-drive",
                &format!("{drive}{}", disk.display()),
                "-device",
                &device,
            ]);
        }
        if self.icount {
            // While the guest idles its clock goes with the host's: disks and sleeps take their time.
            command.args(["-icount", "shift=0"]);
        }
        if let Some(job) = &self.job {
            let name = kiln_core::job::FW_CFG_NAME;
            command
                .arg("-fw_cfg")
                .arg(format!("name={name},file={}", job.display()));
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Boots it once and waits for its end; the wall time.
    ///
    /// # Errors
    /// When QEMU can't be started, doesn't end, or ends otherwise than it should.
    pub fn boot(&self, memory: &str) -> Result<Duration> {
        self.finish(self.command(memory, false))
    }

    /// Boots it once and gives back what it wrote to the serial line; under the counting plugin, if
    /// one is given, its marks, too.
    ///
    /// # Errors
    /// As [`Guest::boot`], and when the plugin reports nothing.
    pub fn listen(
        &self,
        memory: &str,
        plugin: Option<&Path>,
        scratch: &Path,
    ) -> Result<(String, Vec<u64>)> {
        let (serial, out) = (scratch.join("serial"), scratch.join("counts.json"));
        let mut command = self.command(memory, true);
        command
            .arg("-serial")
            .arg(format!("file:{}", serial.display()));
        if let Some(plugin) = plugin {
            let plugin = format!("{},out={}", plugin.display(), out.display());
            command.args(["-plugin", &plugin]);
        }
        let end = self.finish(command);
        let said = std::fs::read(&serial).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        end.with_context(|| said.lines().last().unwrap_or("it said nothing").to_owned())?;
        let marks = match plugin {
            Some(_) => {
                let text = std::fs::read_to_string(&out).context("the plugin wrote nothing")?;
                serde_json::from_str::<Counts>(&text)?.marks
            }
            None => Vec::new(),
        };
        Ok((said, marks))
    }

    /// Boots it once under the counting plugin.
    ///
    /// # Errors
    /// As [`Guest::boot`], and when the plugin reports nothing.
    pub fn count(&self, memory: &str, plugin: &Path, scratch: &Path) -> Result<Counts> {
        let out = scratch.join("counts.json");
        let log = scratch.join("accesses.log");
        for file in [&out, &log] {
            let _ = std::fs::remove_file(file);
        }
        let mut command = self.command(memory, false);
        let entry = entry_point(&self.kernel)?;
        let user = self.user_entry;
        let plugin = plugin.display();
        let plugin = format!(
            "{plugin},entry={entry:#x},user={user:#x},out={}",
            out.display()
        );
        command
            .args(["-plugin", &plugin, "-d", "plugin"])
            .arg("-D")
            .arg(&log);
        command.args(["-trace", "memory_region_ops_*"]);
        self.finish(command)?;
        let text = std::fs::read_to_string(&out).context("the counting plugin wrote nothing")?;
        let mut counts: Counts = serde_json::from_str(&text)?;
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let before = log
            .split("first user instruction")
            .next()
            .unwrap_or_default();
        counts.accesses = before
            .lines()
            .filter(|l| l.contains("memory_region_ops_"))
            .count() as u64;
        Ok(counts)
    }

    fn finish(&self, mut command: Command) -> Result<Duration> {
        let started = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| crate::qemu::PROGRAM.to_owned())?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if started.elapsed() > DEADLINE {
                let _ = child.kill();
                let _ = child.wait();
                bail!("{} didn't end within {DEADLINE:?}", self.name);
            }
            // Short beside a boot, and few beside a bench.
            let pause = started.elapsed() / 200;
            std::thread::sleep(pause.clamp(Duration::from_micros(200), Duration::from_millis(20)));
        };
        let elapsed = started.elapsed();
        if status.code() != Some(self.status) {
            let output = child.wait_with_output()?;
            let error = String::from_utf8_lossy(&output.stderr);
            bail!(
                "{}: QEMU ended with {status}, {}: {}",
                self.name,
                self.status,
                error.trim()
            );
        }
        Ok(elapsed)
    }
}

/// The physical entry point that the ELF's PVH note names.
///
/// # Errors
/// When the file isn't an ELF with such a note.
pub fn entry_point(kernel: &Path) -> Result<u64> {
    const PHYS32_ENTRY: u32 = 18;
    let bytes = std::fs::read(kernel).with_context(|| kernel.display().to_string())?;
    let elf = goblin::elf::Elf::parse(&bytes)?;
    let notes = elf
        .iter_note_headers(&bytes)
        .context("the kernel has no notes")?;
    for note in notes {
        let note = note?;
        if note.n_type == PHYS32_ENTRY && note.name.trim_end_matches('\0') == "Xen" {
            let address = note.desc.first_chunk::<8>();
            return Ok(u64::from_le_bytes(
                *address.context("the PVH note is short")?,
            ));
        }
    }
    bail!("{} has no PVH note", kernel.display())
}

/// The entry point of a program that is always loaded at the same address.
///
/// # Errors
/// When the program isn't such an ELF.
pub fn user_entry(program: &Path) -> Result<u64> {
    const ET_EXEC: u16 = 2;
    let bytes = std::fs::read(program).with_context(|| program.display().to_string())?;
    let elf = goblin::elf::Elf::parse(&bytes)?;
    ensure!(
        elf.header.e_type == ET_EXEC,
        "{} is position-independent",
        program.display()
    );
    Ok(elf.entry)
}

/// Bytes in memory of all PT_LOAD segments.
///
/// # Errors
/// When the file isn't an ELF.
pub fn loaded_size(kernel: &Path) -> Result<u64> {
    const PT_LOAD: u32 = 1;
    let bytes = std::fs::read(kernel).with_context(|| kernel.display().to_string())?;
    let elf = goblin::elf::Elf::parse(&bytes)?;
    let loads = elf
        .program_headers
        .iter()
        .filter(|header| header.p_type == PT_LOAD);
    let size = loads.map(|header| header.p_memsz).sum();
    ensure!(size > 0, "{} has nothing to load", kernel.display());
    Ok(size)
}
