//! Images for the tests: made by mke2fs, held in memory, judged by e2fsck.

use crate::fs::ext4::{Device, DeviceError, Ext4, Ino, Options, Time};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::string::{String, ToString};
use std::vec::Vec;
use std::{env, format, fs, println, process};

/// A disk in memory.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) bytes: Vec<u8>,
    /// Writes after which the device fails, if any.
    pub(super) fails_after: Option<usize>,
    /// What was done since this was set.
    pub(super) record: Option<Vec<Done>>,
}

/// Something that a disk was told.
#[derive(Clone, Debug)]
pub(super) enum Done {
    Write(u64, Vec<u8>),
    Flush,
}

impl Memory {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            fails_after: None,
            record: None,
        }
    }
}

impl Device for Memory {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        assert!(
            (offset | buffer.len() as u64).is_multiple_of(512),
            "unaligned read"
        );
        let start = offset as usize;
        let end = start.checked_add(buffer.len()).ok_or(DeviceError)?;
        buffer.copy_from_slice(self.bytes.get(start..end).ok_or(DeviceError)?);
        Ok(())
    }

    fn write(&mut self, offset: u64, buffer: &[u8]) -> Result<(), DeviceError> {
        assert!(
            (offset | buffer.len() as u64).is_multiple_of(512),
            "unaligned write"
        );
        if let Some(left) = &mut self.fails_after {
            *left = left.checked_sub(1).ok_or(DeviceError)?;
        }
        let start = offset as usize;
        let end = start.checked_add(buffer.len()).ok_or(DeviceError)?;
        self.bytes
            .get_mut(start..end)
            .ok_or(DeviceError)?
            .copy_from_slice(buffer);
        if let Some(record) = &mut self.record {
            record.push(Done::Write(offset, buffer.to_vec()));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        if let Some(record) = &mut self.record {
            record.push(Done::Flush);
        }
        Ok(())
    }

    /// What a device may do to what nobody needs.
    fn discard(&mut self, offset: u64, length: u64) -> Result<(), DeviceError> {
        self.write(offset, &std::vec![0xDD; length as usize])
    }
}

/// A directory that goes away with the test.
pub(super) struct Temp(pub(super) PathBuf);

impl Temp {
    pub(super) fn new(name: &str) -> Self {
        // e2fsck waits for the disk; in memory there is none.
        let memory = PathBuf::from("/dev/shm");
        let base = Some(memory).filter(|dir| dir.is_dir());
        let base = base.unwrap_or_else(env::temp_dir);
        let path = base.join(format!("kiln-ext4-{}-{name}", process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs one of e2fsprogs' programs; answers its exit code and output.
pub(super) fn tool(name: &str, arguments: &[&str]) -> (i32, String) {
    let path = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} isn't installed: these tests need e2fsprogs"));
    let output = Command::new(path)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).to_string()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

/// An image of `size` (as mke2fs takes it), filled from `from` if given.
pub(super) fn make(temp: &Temp, size: &str, options: &[&str], from: Option<&Path>) -> Vec<u8> {
    let path = temp.0.join("image");
    let _ = fs::remove_file(&path);
    let path_text = path.to_str().unwrap();
    let mut arguments = std::vec!["-q", "-F"];
    arguments.extend(options);
    if let Some(from) = from {
        arguments.extend(["-d", from.to_str().unwrap()]);
    }
    arguments.extend([path_text, size]);
    let (code, text) = tool("mke2fs", &arguments);
    assert_eq!(code, 0, "mke2fs {arguments:?}: {text}");
    fs::read(&path).unwrap()
}

/// e2fsck must find nothing to complain about.
pub(super) fn assert_clean(temp: &Temp, bytes: &[u8], what: &str) {
    let path = temp.0.join("checked");
    fs::write(&path, bytes).unwrap();
    let (code, text) = tool("e2fsck", &["-fn", path.to_str().unwrap()]);
    if code != 0 {
        let kept = env::temp_dir().join("kiln-ext4-failed.img");
        let _ = fs::copy(&path, &kept);
        println!("image kept as {}", kept.display());
    }
    assert_eq!(code, 0, "{what}: e2fsck says:\n{text}");
}

pub(super) const NOW: Time = Time {
    seconds: 1_700_000_000,
    nanos: 123_456_789,
};

pub(super) fn mount(bytes: Vec<u8>) -> Ext4<Memory> {
    let options = Options {
        now: NOW,
        cache_bytes: 1 << 18,
        ..Options::default()
    };
    Ext4::mount(Memory::new(bytes), &options).unwrap()
}

pub(super) fn mount_read_only(bytes: Vec<u8>) -> Ext4<Memory> {
    let options = Options {
        read_only: true,
        now: NOW,
        ..Options::default()
    };
    Ext4::mount(Memory::new(bytes), &options).unwrap()
}

/// All entries of a directory but `.` and `..`, by name.
pub(super) fn list(fs: &mut Ext4<Memory>, dir: Ino) -> Vec<(Vec<u8>, Ino)> {
    let mut all = Vec::new();
    fs.read_dir(dir, 0, &mut |entry| {
        if entry.name != b"." && entry.name != b".." {
            all.push((entry.name.to_vec(), entry.ino));
        }
        true
    })
    .unwrap();
    all.sort();
    all
}

pub(super) fn contents(fs: &mut Ext4<Memory>, ino: Ino) -> Vec<u8> {
    let size = fs.attr(ino).unwrap().size as usize;
    let mut bytes = std::vec![0; size];
    assert_eq!(fs.read(ino, 0, &mut bytes).unwrap(), size);
    bytes
}
