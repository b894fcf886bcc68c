//! QEMU's fw_cfg device (docs/specs/fw_cfg.rst in QEMU): the file directory and the DMA command,
//! as bytes. The kernel's `drivers::fw_cfg` moves them.

/// Selector of the directory of files (`FW_CFG_FILE_DIR`).
pub const DIRECTORY: u16 = 0x19;
/// Selector of the number of CPUs (`FW_CFG_NB_CPUS`): 16 bits, little-endian.
pub const CPU_COUNT: u16 = 0x05;
/// Bytes of a DMA command.
pub const COMMAND_LEN: usize = 16;
/// Bytes of one directory entry.
const ENTRY_LEN: usize = 64;
/// Bytes before the first entry.
const COUNT_LEN: usize = 4;

const CONTROL_ERROR: u32 = 1;
const CONTROL_READ: u32 = 1 << 1;
const CONTROL_SELECT: u32 = 1 << 3;

/// Where a file is and how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its selector.
    pub selector: u16,
    /// Bytes in it.
    pub size: u32,
}

/// The DMA command that selects an item and reads `len` bytes from its start to `address`.
#[must_use]
pub fn read_command(selector: u16, len: u32, address: u64) -> [u8; COMMAND_LEN] {
    let control = u32::from(selector) << 16 | CONTROL_SELECT | CONTROL_READ;
    let mut command = [0; COMMAND_LEN];
    let (head, tail) = command.split_at_mut(8);
    let (first, second) = head.split_at_mut(4);
    first.copy_from_slice(&control.to_be_bytes());
    second.copy_from_slice(&len.to_be_bytes());
    tail.copy_from_slice(&address.to_be_bytes());
    command
}

/// What the control word of a command says after it was issued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// The bytes are there.
    Done,
    /// The device still works on it.
    Pending,
    /// The device refused.
    Failed,
}

/// Reads the control word back (the command's first four bytes).
#[must_use]
pub const fn progress(control: [u8; 4]) -> Progress {
    match u32::from_be_bytes(control) {
        0 => Progress::Done,
        word if word & CONTROL_ERROR != 0 => Progress::Failed,
        _ => Progress::Pending,
    }
}

/// Bytes of a directory of `count` entries.
#[must_use]
pub const fn directory_len(count: u32) -> usize {
    COUNT_LEN + ENTRY_LEN * crate::num::usize_of32(count)
}

/// How many entries the directory says it has; `None` when even the count is cut off.
#[must_use]
pub fn entry_count(directory: &[u8]) -> Option<u32> {
    directory
        .first_chunk::<COUNT_LEN>()
        .map(|count| u32::from_be_bytes(*count))
}

/// Finds a file in the directory's bytes, which may be cut short: only whole entries count.
#[must_use]
pub fn find(directory: &[u8], name: &str) -> Option<Entry> {
    let count = crate::num::usize_of32(entry_count(directory)?);
    directory
        .get(COUNT_LEN..)?
        .as_chunks::<ENTRY_LEN>()
        .0
        .iter()
        .take(count)
        .find_map(|entry| {
            let [s0, s1, s2, s3, k0, k1, _, _, stored @ ..] = entry;
            let end = stored.iter().position(|byte| *byte == 0)?;
            (stored.get(..end)? == name.as_bytes()).then(|| Entry {
                selector: u16::from_be_bytes([*k0, *k1]),
                size: u32::from_be_bytes([*s0, *s1, *s2, *s3]),
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn directory(files: &[(&str, u16, u32)]) -> Vec<u8> {
        let mut bytes = (files.len() as u32).to_be_bytes().to_vec();
        for (name, selector, size) in files {
            bytes.extend(size.to_be_bytes());
            bytes.extend(selector.to_be_bytes());
            bytes.extend([0, 0]);
            let mut stored = [0; 56];
            stored[..name.len()].copy_from_slice(name.as_bytes());
            bytes.extend(stored);
        }
        bytes
    }

    #[test]
    fn files_are_found_by_their_whole_name() {
        let bytes = directory(&[("etc/fdt", 0x20, 9), ("opt/org.kiln/job", 0x2A, 0x1_0203)]);
        let found = Entry {
            selector: 0x2A,
            size: 0x1_0203,
        };
        assert_eq!(find(&bytes, "opt/org.kiln/job"), Some(found));
        assert_eq!(find(&bytes, "opt/org.kiln/jo"), None);
        assert_eq!(find(&bytes, ""), None);
        assert_eq!(directory_len(2), bytes.len());
    }

    #[test]
    fn odd_directories_find_nothing() {
        let mut bytes = directory(&[("a", 1, 2), ("b", 3, 4)]);
        for cut in 0..bytes.len() {
            let whole = cut >= directory_len(1);
            assert_eq!(find(&bytes[..cut], "a").is_some(), whole);
            assert_eq!(find(&bytes[..cut], "b"), None);
        }
        bytes[3] = 0;
        assert_eq!(find(&bytes, "a"), None, "the count says there are none");
        bytes[..4].fill(0xFF);
        assert!(find(&bytes, "b").is_some(), "and here far too many");
        bytes[12..68].fill(b'x');
        assert_eq!(find(&bytes, "a"), None, "a name without its NUL");
    }

    #[test]
    fn commands_are_big_endian() {
        let command = read_command(0x19, 4096, 0x1234_5000);
        assert_eq!(
            command,
            [
                0, 0x19, 0, 0x0A, 0, 0, 0x10, 0, 0, 0, 0, 0, 0x12, 0x34, 0x50, 0
            ]
        );
        assert_eq!(progress([0; 4]), Progress::Done);
        assert_eq!(progress([0, 0, 0, 1]), Progress::Failed);
        assert_eq!(progress([0, 0x19, 0, 0x0A]), Progress::Pending);
    }
}
