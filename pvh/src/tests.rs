//! Start informations built by hand, whole, broken and random.

use super::*;
use std::vec;
use std::vec::Vec;

/// Memory that starts at `base`; everything outside can't be read.
struct Ram {
    base: u64,
    bytes: Vec<u8>,
}

impl PhysMemory for Ram {
    fn bytes(&self, addr: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(addr.checked_sub(self.base)?).ok()?;
        self.bytes.get(start..start.checked_add(len)?)
    }
}

impl Ram {
    fn put(&mut self, addr: u64, bytes: &[u8]) {
        let start = usize::try_from(addr - self.base).unwrap();
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
    }

    fn put32(&mut self, addr: u64, value: u32) {
        self.put(addr, &value.to_le_bytes());
    }

    fn put64(&mut self, addr: u64, value: u64) {
        self.put(addr, &value.to_le_bytes());
    }
}

const INFO: u64 = 0x1000;
const MODULES: u64 = 0x1104;
const MAP: u64 = 0x1200;
const CMDLINE: u64 = 0x1800;

/// What QEMU's microvm hands over at 256 MiB with an initrd: a map that ends in an empty entry.
fn microvm() -> Ram {
    let mut ram = Ram {
        base: INFO,
        bytes: vec![0; 0x1000],
    };
    ram.put32(INFO, MAGIC);
    ram.put32(INFO + 4, 1);
    ram.put32(INFO + 12, 1);
    ram.put64(INFO + 16, MODULES);
    ram.put64(INFO + 24, CMDLINE);
    ram.put64(INFO + 40, MAP);
    ram.put32(INFO + 48, 4);
    ram.put64(MODULES, 0x0F00_0000);
    ram.put64(MODULES + 8, 0x1234);
    let map = [
        (0, 0x9_FC00, 1u32),
        (0x9_FC00, 0x400, 2),
        (0x10_0000, 0x0FF0_0000, 1),
        (0, 0, 0),
    ];
    for (entry, (start, len, kind)) in map.into_iter().enumerate() {
        let at = MAP + entry as u64 * 24;
        ram.put64(at, start);
        ram.put64(at + 8, len);
        ram.put32(at + 16, kind);
    }
    ram.put(CMDLINE, b"verbose console=ttyS0\0");
    ram
}

#[test]
fn takes_over_what_microvm_gives() {
    let info = BootInfo::read(&microvm(), INFO).unwrap();
    let ram: Vec<_> = info.ram().collect();
    assert_eq!(
        ram,
        [
            PhysRange::new(0, 0x9_FC00),
            PhysRange::new(0x10_0000, 0x0FF0_0000)
        ]
        .map(Option::unwrap)
    );
    assert_eq!(info.regions.as_slice().len(), 3);
    assert_eq!(
        info.modules.as_slice(),
        [PhysRange::new(0x0F00_0000, 0x1234).unwrap()]
    );
    assert_eq!(info.cmdline, PhysRange::new(CMDLINE, 21).unwrap());
}

#[test]
fn no_modules_and_no_command_line_are_fine() {
    let mut ram = microvm();
    ram.put32(INFO + 12, 0);
    ram.put64(INFO + 16, 0xDEAD_0000);
    ram.put64(INFO + 24, 0);
    let info = BootInfo::read(&ram, INFO).unwrap();
    assert!(info.modules.as_slice().is_empty());
    assert!(info.cmdline.is_empty());
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Ram), error: Error) {
    let mut ram = microvm();
    change(&mut ram);
    assert_eq!(BootInfo::read(&ram, INFO).unwrap_err(), error);
}

#[test]
fn refuses_each_broken_field() {
    refused(
        |ram| ram.put32(INFO, 0x2BAD_B002),
        Error::BadMagic(0x2BAD_B002),
    );
    refused(|ram| ram.put32(INFO + 4, 0), Error::BadVersion(0));
    refused(
        |ram| ram.put64(INFO + 40, 0x9000),
        Error::Unreadable("memory map", 0x9000),
    );
    refused(
        |ram| ram.put64(INFO + 16, u64::MAX),
        Error::Unreadable("module list", u64::MAX),
    );
    refused(
        |ram| ram.put64(INFO + 24, 0x9000),
        Error::Unreadable("command line", 0x9000),
    );
    refused(
        |ram| ram.put32(INFO + 48, u32::MAX),
        Error::TooMany("memory map", u32::MAX),
    );
    refused(
        |ram| {
            ram.put64(INFO + 16, MODULES + 0x400);
            ram.put32(INFO + 12, 9);
        },
        Error::TooMany("modules", 9),
    );
    refused(
        |ram| ram.put64(MAP + 32, u64::MAX),
        Error::Wraps("memory region", 0x9_FC00),
    );
    refused(
        |ram| ram.put64(MODULES, 0xFFF0_0000),
        Error::ModuleOutside(0xFFF0_0000),
    );
    refused(
        |ram| ram.put64(MODULES + 8, u64::MAX),
        Error::Wraps("module", 0x0F00_0000),
    );
    refused(|ram| ram.put32(INFO + 48, 0), Error::NoMemory);
    refused(
        |ram| ram.put(CMDLINE, &vec![b'x'; 0x800]),
        Error::LongCommandLine,
    );
}

#[test]
fn unreadable_start_info() {
    let error = BootInfo::read(&microvm(), 0).unwrap_err();
    assert_eq!(error, Error::Unreadable("start info", 0));
    assert_eq!(
        std::format!("{error}"),
        "the start info at 0x0 can't be read"
    );
}

/// Whatever the bytes are, the answer is a result, and a good one keeps its promises.
#[test]
fn random_bytes_never_break_it() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..20_000 {
        let mut ram = microvm();
        for _ in 0..4 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = INFO + state % 0x300;
            ram.put(at, &[(state >> 32).to_le_bytes()[0]]);
        }
        if let Ok(info) = BootInfo::read(&ram, INFO) {
            assert!(info.ram().all(|range| range.start < range.end));
            for module in info.modules.as_slice() {
                assert!(info.ram().any(|ram| ram.contains(*module)));
            }
            assert!(info.cmdline.len() <= MAX_CMDLINE as u64);
        }
    }
}
