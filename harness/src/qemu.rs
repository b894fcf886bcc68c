//! QEMU's command line: what the machine consists of, and nothing of how it is watched.
//!
//! The machine is `microvm` with everything off that Kiln doesn't use. Devices sit in virtio-mmio
//! slots that are told to the kernel: [`CHANNEL_SLOT`], then the disks from [`FIRST_DISK_SLOT`].

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use kiln_core::job::FW_CFG_NAME;
use kiln_core::report::{EXIT_PORT, RECORD_PORT};

use crate::options::Accel;

/// The program.
pub const PROGRAM: &str = "qemu-system-x86_64";
/// virtio-mmio slot of the channel's console.
pub const CHANNEL_SLOT: u8 = 0;
/// virtio-mmio slot of the first disk.
pub const FIRST_DISK_SLOT: u8 = 1;
/// `microvm` has eight slots.
pub const MAX_DISKS: usize = 7;

/// One disk of the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drive {
    /// The image, as QEMU is to open it.
    pub file: PathBuf,
    /// Opened for reading only.
    pub read_only: bool,
    /// It vanishes with the VM, so the host need not write it to its own disk.
    pub scratch: bool,
    /// What is written to it goes elsewhere and vanishes; the file stays as it is.
    pub snapshot: bool,
}

/// Whose machine it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guest {
    /// The project's kernel.
    Kiln,
    /// Debian's, for comparison (`linux`). It finds its devices through ACPI, and its record leaves by
    /// a port of the channel's device, because it has no way to the debug console.
    Linux,
    /// The smallest that runs jobs. It has no ACPI: devices are named on its command line, which QEMU does.
    SmallLinux,
}

impl Guest {
    /// Whether it is one to compare with.
    #[must_use]
    pub fn is_linux(self) -> bool {
        self != Self::Kiln
    }
}

/// The machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// Whose it is.
    pub guest: Guest,
    /// Memory, bytes.
    pub memory: u64,
    /// CPUs.
    pub cpus: u32,
    /// How code is run.
    pub accel: Accel,
    /// The kernel's ELF.
    pub kernel: PathBuf,
    /// The root image.
    pub initrd: Option<PathBuf>,
    /// The kernel's command line.
    pub append: String,
    /// Disks, in order.
    pub drives: Vec<Drive>,
    /// A serial port for kernel messages, and where QEMU writes it.
    pub serial: Option<PathBuf>,
    /// Wait for a debugger here.
    pub gdb: Option<u16>,
    /// More arguments.
    pub extra: Vec<String>,
}

/// Where QEMU finds the launcher's ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wires {
    /// The channel: options of `-chardev socket`.
    pub channel: String,
    /// The debug console's output.
    pub record: PathBuf,
    /// The job specification.
    pub job: PathBuf,
}

/// `head` followed by a path, in which QEMU's option syntax wants commas doubled.
fn with_path(head: &str, path: &OsStr) -> OsString {
    let mut text = head.as_bytes().to_vec();
    for byte in path.as_bytes() {
        text.push(*byte);
        if *byte == b',' {
            text.push(b',');
        }
    }
    OsString::from_vec(text)
}

/// QEMU's arguments, without the program's name.
#[must_use]
pub fn arguments(machine: &Machine, wires: &Wires) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    let mut put = |words: &[&OsStr]| args.extend(words.iter().map(|word| (*word).to_owned()));
    let serial = if machine.serial.is_some() {
        "on"
    } else {
        "off"
    };
    let acpi = match machine.guest {
        Guest::Kiln | Guest::SmallLinux => "off",
        // The first line of QEMU's second interrupt controller is never heard.
        Guest::Linux => "on,ioapic2=off",
    };
    let named = if machine.guest == Guest::SmallLinux {
        "on"
    } else {
        "off"
    };
    let board = format!(
        "microvm,acpi={acpi},pic=off,pit=off,rtc=off,isa-serial={serial},auto-kernel-cmdline={named}"
    );
    put(&["-M".as_ref(), board.as_ref()]);
    for accel in accelerators(machine.accel) {
        // A thread of the host's for each CPU is the default, but for odd pairs of architectures.
        let accel = match *accel {
            "tcg" if machine.cpus > 1 => "tcg,thread=multi",
            accel => accel,
        };
        put(&["-accel", accel].map(AsRef::as_ref));
    }
    if machine.cpus > 1 {
        // In one package, so that CPUID tells the kernel whether to ask for their number.
        let topology = format!("cpus={0},sockets=1,cores={0},threads=1", machine.cpus);
        put(&["-smp".as_ref(), topology.as_ref()]);
    }
    let memory = format!("size={}k", machine.memory.div_ceil(1024));
    // With ERMS Linux copies by `rep movsb`, which TCG runs a byte at a time.
    let cpu = match machine.guest {
        Guest::Kiln => "max",
        Guest::Linux | Guest::SmallLinux => "max,-erms,-fsrm",
    };
    put(&["-cpu", cpu, "-m", memory.as_str()].map(AsRef::as_ref));
    put(&[
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
    ]
    .map(AsRef::as_ref));
    put(&["-global", "virtio-mmio.force-legacy=false"].map(AsRef::as_ref));
    put(&["-kernel".as_ref(), machine.kernel.as_os_str()]);
    if let Some(initrd) = &machine.initrd {
        put(&["-initrd".as_ref(), initrd.as_os_str()]);
    }
    if !machine.append.is_empty() {
        put(&["-append".as_ref(), machine.append.as_ref()]);
    }
    let job = with_path(&format!("name={FW_CFG_NAME},file="), wires.job.as_os_str());
    put(&["-fw_cfg".as_ref(), job.as_ref()]);
    let exit = format!("isa-debug-exit,iobase={EXIT_PORT:#x},iosize=2");
    put(&["-device".as_ref(), exit.as_ref()]);
    let record = with_path("file,id=record,path=", wires.record.as_os_str());
    put(&["-chardev".as_ref(), record.as_ref()]);
    if machine.guest == Guest::Kiln {
        let console = format!("isa-debugcon,iobase={RECORD_PORT:#x},chardev=record");
        put(&["-device", &console].map(AsRef::as_ref));
    }
    let channel = format!("socket,id=channel,{}", wires.channel);
    let ports = match machine.guest {
        Guest::Kiln => 2,
        Guest::Linux | Guest::SmallLinux => 3,
    };
    let bus = format!("virtio-serial-device,bus=virtio-mmio-bus.{CHANNEL_SLOT},max_ports={ports}");
    put(&["-chardev", &channel, "-device", &bus].map(AsRef::as_ref));
    // Not a `virtconsole`: QEMU drops what the socket of one can't take at once. Port 0 is for
    // consoles only.
    put(&["-device", "virtserialport,chardev=channel,nr=1"].map(AsRef::as_ref));
    if machine.guest.is_linux() {
        put(&["-device", "virtserialport,chardev=record,nr=2"].map(AsRef::as_ref));
    }
    if let Some(path) = &machine.serial {
        let chardev = with_path("file,id=serial,path=", path.as_os_str());
        put(&[
            "-chardev".as_ref(),
            chardev.as_ref(),
            "-serial".as_ref(),
            "chardev:serial".as_ref(),
        ]);
    }
    let slots = FIRST_DISK_SLOT..;
    let mut drives: Vec<(u8, &Drive)> = slots.zip(&machine.drives).collect();
    if machine.guest.is_linux() {
        // The tables list the last slot first, and Linux names its disks in their order.
        let slots: Vec<u8> = drives.iter().rev().map(|(slot, _)| *slot).collect();
        drives = slots.into_iter().zip(&machine.drives).collect();
    }
    for (slot, drive) in drives {
        let mut head = format!("if=none,id=disk{slot},format=raw");
        head.push_str(if drive.read_only { ",readonly=on" } else { "" });
        head.push_str(if drive.snapshot { ",snapshot=on" } else { "" });
        head.push_str(if drive.scratch {
            ",cache=unsafe"
        } else {
            ",cache=writeback"
        });
        head.push_str(",discard=unmap,file=");
        let device = format!(
            "virtio-blk-device,drive=disk{slot},bus=virtio-mmio-bus.{slot},werror=report,rerror=report"
        );
        let drive = with_path(&head, drive.file.as_os_str());
        put(&[
            "-drive".as_ref(),
            drive.as_ref(),
            "-device".as_ref(),
            device.as_ref(),
        ]);
    }
    if let Some(port) = machine.gdb {
        let listen = format!("tcp:127.0.0.1:{port}");
        put(&["-gdb", &listen, "-S"].map(AsRef::as_ref));
    }
    args.extend(machine.extra.iter().map(OsString::from));
    args
}

/// QEMU tries them in this order.
fn accelerators(wanted: Accel) -> &'static [&'static str] {
    match wanted {
        Accel::Tcg => &["tcg"],
        Accel::Kvm => &["kvm"],
        Accel::Auto if kvm_is_usable() => &["kvm", "tcg"],
        Accel::Auto => &["tcg"],
    }
}

/// Some machines have a `/dev/kvm` without the CPU's virtualisation behind it; what they emulate
/// isn't enough for a kernel.
#[must_use]
pub fn kvm_is_usable() -> bool {
    let device = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm");
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpu.lines().find(|line| line.starts_with("flags"));
    let virtualises = flags.is_some_and(|line| {
        line.split_whitespace()
            .any(|flag| flag == "vmx" || flag == "svm")
    });
    device.is_ok() && virtualises
}

/// A command line that a shell would read back as these words.
#[must_use]
pub fn quoted(words: &[OsString]) -> String {
    let quote = |word: &OsString| {
        let text = word.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,.:/+@%".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            text.into_owned()
        } else {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            guest: Guest::Kiln,
            memory: 256 << 20,
            cpus: 1,
            accel: Accel::Tcg,
            kernel: PathBuf::from("/k"),
            initrd: None,
            append: String::new(),
            drives: vec![],
            serial: None,
            gdb: None,
            extra: vec![],
        }
    }

    fn wires() -> Wires {
        Wires {
            channel: "fd=3".to_owned(),
            record: PathBuf::from("/r"),
            job: PathBuf::from("/j"),
        }
    }

    #[test]
    fn drives_sit_in_their_slots_and_commas_survive() {
        let drive = |file: &str, read_only| Drive {
            file: PathBuf::from(file),
            read_only,
            scratch: false,
            snapshot: false,
        };
        let machine = Machine {
            drives: vec![drive("/a,b", true), drive("/c", false)],
            ..machine()
        };
        let line = quoted(&arguments(&machine, &wires()));
        assert!(line.contains("id=disk1,format=raw,readonly=on,"), "{line}");
        assert!(line.contains(",file=/a,,b "), "{line}");
        assert!(line.contains("drive=disk2,bus=virtio-mmio-bus.2"), "{line}");
    }

    #[test]
    fn the_serial_port_is_there_only_when_asked_for() {
        let line = quoted(&arguments(&machine(), &wires()));
        assert!(
            line.contains("isa-serial=off") && !line.contains("-serial "),
            "{line}"
        );
    }

    #[test]
    fn quoting_is_for_shells() {
        let words = ["a b", "", "it's", "x=1"].map(OsString::from);
        assert_eq!(quoted(&words), r"'a b' '' 'it'\''s' x=1");
    }
}
