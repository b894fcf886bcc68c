//! Partition tables: the MBR's, with logical partitions, and the GPT (UEFI specification, chapter 5).

use crate::gzip::crc32;
use crate::num::usize_of32;
use alloc::vec::Vec;

/// Bytes of a sector.
pub const SECTOR: usize = 512;

/// A part of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partition {
    /// Its number, from 1 on.
    pub number: u32,
    /// Its first sector.
    pub start: u64,
    /// How many sectors it has.
    pub sectors: u64,
}

/// Most partitions of a disk: their device numbers' last four bits tell them.
const MOST: u32 = 15;
/// Logical partitions are numbered from here on.
const FIRST_LOGICAL: u32 = 5;
/// Entries of a GPT that are looked at, and bytes of one.
const GPT_ENTRIES: u32 = 128;
const GPT_ENTRY: u32 = 128;

/// Types of partitions in an MBR: none; those that hold others; the one that stands for a GPT.
const EMPTY: u8 = 0;
const EXTENDED: [u8; 3] = [0x05, 0x0F, 0x85];
const PROTECTIVE: u8 = 0xEE;

/// A sector's bytes.
pub type Sector = [u8; SECTOR];

fn long(bytes: &[u8], at: usize) -> u32 {
    let part = bytes.get(at..at + 4).and_then(|part| part.try_into().ok());
    part.map_or(0, u32::from_le_bytes)
}

fn quad(bytes: &[u8], at: usize) -> u64 {
    u64::from(long(bytes, at)) | u64::from(long(bytes, at + 4)) << 32
}

/// An entry of an MBR.
struct Slot {
    kind: u8,
    start: u64,
    sectors: u64,
}

/// The four entries of an MBR; `None` when the sector isn't one.
fn slots(sector: &Sector) -> Option<[Slot; 4]> {
    if sector.get(510..) != Some(&[0x55, 0xAA]) {
        return None;
    }
    let entry = |index: usize| sector.get(446 + index * 16..).unwrap_or_default();
    // Anything else there is a boot sector of a file system.
    if (0..4).any(|index| !matches!(entry(index).first(), Some(0 | 0x80))) {
        return None;
    }
    Some([0, 1, 2, 3].map(|index| {
        let bytes = entry(index);
        Slot {
            kind: bytes.get(4).copied().unwrap_or(0),
            start: u64::from(long(bytes, 8)),
            sectors: u64::from(long(bytes, 12)),
        }
    }))
}

/// The partitions of a disk of so many sectors, which `read` reads one by one; what can't be read, or is
/// broken, has none.
pub fn partitions(sectors: u64, mut read: impl FnMut(u64) -> Option<Sector>) -> Vec<Partition> {
    let mut found = Vec::new();
    let Some(slots) = read(0).as_ref().and_then(slots) else {
        return found;
    };
    if slots.iter().any(|slot| slot.kind == PROTECTIVE) {
        // The copy at the disk's end counts where the first is broken.
        let table = gpt(sectors, 1, &mut read);
        return table
            .or_else(|| gpt(sectors, sectors.checked_sub(1)?, &mut read))
            .unwrap_or_default();
    }
    let mut extended = None;
    for (slot, number) in slots.iter().zip(1..) {
        if slot.kind == EMPTY || slot.sectors == 0 {
            continue;
        }
        add(&mut found, sectors, number, slot.start, slot.sectors);
        if EXTENDED.contains(&slot.kind) && extended.is_none() {
            extended = Some(slot.start);
            // As Linux shows it: large enough for a boot loader, and no more.
            if let Some(own) = found.last_mut().filter(|own| own.number == number) {
                own.sectors = own.sectors.min(2);
            }
        }
    }
    if let Some(start) = extended {
        logical(&mut found, sectors, start, &mut read);
    }
    found
}

fn add(found: &mut Vec<Partition>, disk: u64, number: u32, start: u64, sectors: u64) {
    if number > MOST || start >= disk || found.try_reserve(1).is_err() {
        return;
    }
    found.push(Partition {
        number,
        start,
        sectors: sectors.min(disk - start),
    });
}

/// The chain of tables in an extended partition, each with one logical partition and the next table.
fn logical(
    found: &mut Vec<Partition>,
    disk: u64,
    first: u64,
    read: &mut impl FnMut(u64) -> Option<Sector>,
) {
    let mut table = first;
    for number in FIRST_LOGICAL..=MOST {
        let Some(slots) = read(table).as_ref().and_then(slots) else {
            return;
        };
        let is_next = |slot: &&Slot| EXTENDED.contains(&slot.kind) && slot.sectors != 0;
        let is_data = |slot: &&Slot| slot.kind != EMPTY && !is_next(slot) && slot.sectors != 0;
        if let Some(data) = slots.iter().find(is_data) {
            add(
                found,
                disk,
                number,
                table.saturating_add(data.start),
                data.sectors,
            );
        }
        match slots.iter().find(is_next) {
            Some(next) => table = first.saturating_add(next.start),
            None => return,
        }
    }
}

/// The GPT whose head is at that sector; `None` when it is broken.
fn gpt(disk: u64, at: u64, read: &mut impl FnMut(u64) -> Option<Sector>) -> Option<Vec<Partition>> {
    let head = read(at)?;
    let length = usize_of32(long(&head, 12));
    if head.get(..8) != Some(b"EFI PART") || !(92..=SECTOR).contains(&length) {
        return None;
    }
    let mut summed = head;
    summed.get_mut(16..20)?.fill(0);
    if crc32(0, summed.get(..length)?) != long(&head, 16) || quad(&head, 24) != at {
        return None;
    }
    let (entries, count, size) = (quad(&head, 72), long(&head, 80), long(&head, 84));
    if size != GPT_ENTRY || count > GPT_ENTRIES {
        return None;
    }
    let mut found = Vec::new();
    let (mut sum, mut number) = (0, 0);
    let mut left = usize_of32(count * GPT_ENTRY);
    let mut sector = entries;
    while left > 0 {
        let bytes = read(sector)?;
        let used = bytes.get(..left.min(SECTOR))?;
        sum = crc32(sum, used);
        for entry in used.chunks_exact(usize_of32(GPT_ENTRY)) {
            number += 1;
            let is_used = entry
                .get(..16)
                .is_some_and(|kind| kind.iter().any(|byte| *byte != 0));
            let (start, end) = (quad(entry, 32), quad(entry, 40));
            if is_used && end >= start {
                add(&mut found, disk, number, start, end - start + 1);
            }
        }
        left -= used.len();
        sector += 1;
    }
    (sum == long(&head, 88)).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn slot(sector: &mut Sector, index: usize, kind: u8, start: u32, sectors: u32) {
        let at = 446 + index * 16;
        sector[at + 4] = kind;
        sector[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
        sector[at + 12..at + 16].copy_from_slice(&sectors.to_le_bytes());
        sector[510..].copy_from_slice(&[0x55, 0xAA]);
    }

    fn read(disk: &HashMap<u64, Sector>, sectors: u64) -> Vec<(u32, u64, u64)> {
        let found = partitions(sectors, |at| {
            (at < sectors).then(|| disk.get(&at).copied().unwrap_or([0; SECTOR]))
        });
        let plain = |part: &Partition| (part.number, part.start, part.sectors);
        found.iter().map(plain).collect()
    }

    #[test]
    fn mbr_with_logical_partitions() {
        let mut disk = HashMap::new();
        let (mut first, mut one, mut two) = ([0; SECTOR], [0; SECTOR], [0; SECTOR]);
        slot(&mut first, 0, 0x83, 2048, 1000);
        slot(&mut first, 2, 0x05, 4096, 4096);
        slot(&mut one, 0, 0x83, 63, 100);
        slot(&mut one, 1, 0x05, 1000, 500);
        slot(&mut two, 0, 0x82, 63, 9999);
        for (at, sector) in [(0, &first), (4096, &one), (5096, &two)] {
            disk.insert(at, *sector);
        }
        let wanted = [
            (1, 2048, 1000),
            (3, 4096, 2),
            (5, 4159, 100),
            (6, 5159, 2841),
        ];
        assert_eq!(read(&disk, 8000), wanted);
    }

    #[test]
    fn boot_sectors_and_nothing() {
        let mut disk = HashMap::new();
        assert_eq!(read(&disk, 100), []);
        let mut boot = [0x12; SECTOR];
        boot[510..].copy_from_slice(&[0x55, 0xAA]);
        disk.insert(0, boot);
        assert_eq!(read(&disk, 100), []);
        let mut round = [0; SECTOR];
        slot(&mut round, 0, 0x05, 0, 100);
        disk.insert(0, round);
        assert!(read(&disk, 100).len() <= 16, "a chain that goes round ends");
    }

    fn with_gpt(at: u64, entries: u64) -> HashMap<u64, Sector> {
        let (mut first, mut head, mut table) = ([0; SECTOR], [0; SECTOR], [0; SECTOR]);
        slot(&mut first, 0, 0xEE, 1, 999);
        table[0] = 1;
        table[32..40].copy_from_slice(&40u64.to_le_bytes());
        table[40..48].copy_from_slice(&49u64.to_le_bytes());
        table[256] = 1;
        table[288..296].copy_from_slice(&50u64.to_le_bytes());
        table[296..304].copy_from_slice(&5000u64.to_le_bytes());
        head[..8].copy_from_slice(b"EFI PART");
        head[12..16].copy_from_slice(&92u32.to_le_bytes());
        head[24..32].copy_from_slice(&at.to_le_bytes());
        head[72..80].copy_from_slice(&entries.to_le_bytes());
        head[80..84].copy_from_slice(&4u32.to_le_bytes());
        head[84..88].copy_from_slice(&128u32.to_le_bytes());
        head[88..92].copy_from_slice(&crc32(0, &table).to_le_bytes());
        let sum = crc32(0, &head[..92]);
        head[16..20].copy_from_slice(&sum.to_le_bytes());
        let mut disk = HashMap::from([(0, first)]);
        disk.insert(at, head);
        disk.insert(entries, table);
        disk
    }

    #[test]
    fn gpt_and_its_copy() {
        let wanted = [(1, 40, 10), (3, 50, 950)];
        assert_eq!(read(&with_gpt(1, 2), 1000), wanted);
        assert_eq!(read(&with_gpt(999, 900), 1000), wanted);
        let mut broken = with_gpt(1, 2);
        broken.get_mut(&2).unwrap()[33] ^= 1;
        assert_eq!(read(&broken, 1000), []);
    }
}
