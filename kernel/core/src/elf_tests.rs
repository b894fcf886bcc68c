//! Plans of hand-made images, of mutilated ones, and of real programs on this machine.
use super::*;
use proptest::prelude::*;
use std::fs;
use std::vec;

struct Load {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    filesz: u64,
    memsz: u64,
    align: u64,
}

fn load(flags: u32, offset: u64, vaddr: u64, filesz: u64, memsz: u64) -> Load {
    Load {
        kind: ph::PT_LOAD,
        flags,
        offset,
        vaddr,
        filesz,
        memsz,
        align: 4096,
    }
}

fn file(kind: u16, loads: &[Load]) -> Vec<u8> {
    let mut out = vec![0; 64];
    out[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    out[16..18].copy_from_slice(&kind.to_le_bytes());
    out[18..20].copy_from_slice(&62u16.to_le_bytes());
    out[20] = 1;
    out[24..32].copy_from_slice(&0x40_1000u64.to_le_bytes());
    out[32..40].copy_from_slice(&64u64.to_le_bytes());
    out[52..54].copy_from_slice(&64u16.to_le_bytes());
    out[54..56].copy_from_slice(&56u16.to_le_bytes());
    out[56..58].copy_from_slice(&(loads.len() as u16).to_le_bytes());
    for l in loads {
        out.extend(l.kind.to_le_bytes());
        out.extend(l.flags.to_le_bytes());
        for word in [l.offset, l.vaddr, l.vaddr, l.filesz, l.memsz, l.align] {
            out.extend(word.to_le_bytes());
        }
    }
    out
}

fn plan(bytes: &[u8]) -> Result<Image, ElfError> {
    let header = Header::parse(bytes)?;
    Image::plan(
        &header,
        table_in(&header, bytes).ok_or(ElfError::BadHeaders)?,
    )
}

#[test]
fn a_static_program() {
    let image = plan(&file(
        2,
        &[
            load(4, 0, 0x40_0000, 0x300, 0x300),
            load(5, 0x1000, 0x40_1000, 0x1234, 0x1234),
            load(6, 0x2F10, 0x40_4F10, 0x200, 0x3000),
        ],
    ))
    .unwrap();
    assert_eq!(image.kind, Kind::Fixed);
    assert_eq!(image.span, 0x40_0000..0x40_8000);
    assert_eq!(image.table_addr, 0x40_0040);
    assert_eq!(image.brk, 0x40_8000);
    assert!(!image.exec_stack);
    let data = &image.segments[2];
    assert_eq!(data.file, 0x40_4000..0x40_6000);
    assert_eq!(data.offset, 0x2000);
    assert_eq!(data.zero_from, Some(0x40_5110));
    assert_eq!(data.zero, 0x40_6000..0x40_8000);
    assert_eq!(data.prot, Prot::READ | Prot::WRITE);
    assert_eq!(image.segments[1].zero_from, None);
    assert!(image.segments[1].zero.is_empty());
}

#[test]
fn bss_alone() {
    let image = plan(&file(3, &[load(6, 0x123, 0x5001, 0, 0x10)])).unwrap();
    assert_eq!(image.kind, Kind::Relocatable);
    assert!(image.segments[0].file.is_empty());
    assert_eq!(image.segments[0].zero, 0x5000..0x6000);
    assert_eq!(image.segments[0].zero_from, None);
}

#[test]
fn refusals() {
    let good = file(2, &[load(5, 0, 0x40_0000, 1, 1)]);
    assert!(plan(&good).is_ok());
    let broken = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        plan(&bytes).unwrap_err()
    };
    assert_eq!(broken(|b| b[0] = 0), ElfError::NotOurs);
    assert_eq!(
        plan(&{
            let mut bytes = good.clone();
            bytes[4..7].fill(9);
            bytes
        }),
        plan(&good),
        "class, order and version don't count"
    );
    assert_eq!(broken(|b| b[16] = 1), ElfError::NotOurs);
    assert_eq!(broken(|b| b[18] = 3), ElfError::NotOurs);
    assert_eq!(broken(|b| b.truncate(63)), ElfError::NotOurs);
    assert_eq!(broken(|b| b.truncate(64)), ElfError::BadHeaders);
    assert_eq!(broken(|b| b[54] = 55), ElfError::BadHeaders);
    assert_eq!(broken(|b| b[56] = 0), ElfError::BadHeaders);
    assert_eq!(broken(|b| b[56] = 74), ElfError::BadHeaders);
    assert_eq!(broken(|b| b[39] = 0xFF), ElfError::BadHeaders);
    assert_eq!(broken(|b| b[64] = 4), ElfError::NoSegments);
    let one = |l| plan(&file(2, &[l])).unwrap_err();
    assert_eq!(one(load(5, 1, 0x40_0000, 1, 1)), ElfError::Misaligned);
    assert_eq!(one(load(5, 0, 0x40_0000, 2, 1)), ElfError::BadSegment);
    assert_eq!(one(load(5, 0, u64::MAX, 1, 1)), ElfError::BadSegment);
    assert_eq!(one(load(5, 0, TASK_SIZE, 0, 1)), ElfError::BadSegment);
    assert_eq!(one(load(5, 0, 0, 1, u64::MAX)), ElfError::BadSegment);
    let interp = |size| Load {
        kind: ph::PT_INTERP,
        ..load(4, 0, 0, size, size)
    };
    for size in [0, 1, 4097] {
        assert_eq!(one(interp(size)), ElfError::BadInterp);
    }
    assert!(ElfError::BadSegment.is_fatal() && !ElfError::BadInterp.is_fatal());
    assert_eq!(interp_path(b"/lib/ld.so\0"), Ok(&b"/lib/ld.so"[..]));
    assert_eq!(interp_path(b"/lib/ld.so"), Err(ElfError::BadInterp));
}

#[test]
#[cfg_attr(miri, ignore)]
fn this_program_is_mapped_as_linux_mapped_it() {
    let path = fs::read_link("/proc/self/exe").unwrap();
    let bytes = fs::read(&path).unwrap();
    let image = plan(&bytes).unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let name = path.to_str().unwrap();
    let mut theirs = vec![];
    for line in maps.lines().filter(|line| line.ends_with(name)) {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next().unwrap().split_once('-').unwrap();
        let number = |s| u64::from_str_radix(s, 16).unwrap();
        let offset = number(fields.nth(1).unwrap());
        theirs.push((number(start), number(end), offset));
    }
    let bias = theirs[0].0 - image.span.start;
    // RELRO splits what one segment mapped: compare what covers what.
    for segment in image.segments.iter().filter(|s| !s.file.is_empty()) {
        let (start, end) = (segment.file.start + bias, segment.file.end + bias);
        let inside = theirs.iter().filter(|(s, e, _)| *s >= start && *e <= end);
        let inside: Vec<_> = inside.collect();
        assert_eq!(inside.first().unwrap().0, start);
        assert_eq!(inside.first().unwrap().2, segment.offset);
        assert_eq!(inside.last().unwrap().1, end);
    }
    let interp = image.interp.clone().unwrap();
    let interp = &bytes[usize_of(interp.start)..usize_of(interp.end)];
    assert_eq!(interp_path(interp).unwrap()[0], b'/');
}

proptest! {
    #[test]
    fn any_header_is_planned_or_refused(
        fields in proptest::collection::vec((0..8u32, any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), 0..64u32), 1..6),
        kind in 2..4u16,
    ) {
        let loads: Vec<Load> = fields.iter().map(|&(flags, offset, vaddr, filesz, memsz, align, cut)| Load {
            kind: if cut % 5 == 4 { ph::PT_INTERP } else { ph::PT_LOAD },
            flags,
            offset: (offset >> cut) << 12,
            vaddr: (vaddr >> cut) & !0xFFF,
            filesz: filesz >> cut.saturating_add(16).min(63),
            memsz: memsz >> cut.min(40),
            align,
        }).collect();
        if let Ok(image) = plan(&file(kind, &loads)) {
            prop_assert!(image.span.start < image.span.end || image.segments.iter().all(|s| s.zero.is_empty() && s.file.is_empty()));
            for s in &image.segments {
                prop_assert!(s.file.end <= TASK_SIZE + 4096 && s.zero.end <= TASK_SIZE + 4096);
                prop_assert!(s.file.start % 4096 == 0 && s.file.end % 4096 == 0);
                prop_assert!(s.zero.start % 4096 == 0 && s.zero.end % 4096 == 0);
                if let Some(from) = s.zero_from {
                    prop_assert!(s.file.contains(&from));
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = plan(&bytes);
        let mut patched = file(2, &[load(5, 0, 0x40_0000, 1, 1)]);
        for (index, byte) in bytes.iter().enumerate() {
            if byte % 7 == 0 && index < patched.len() { patched[index] = *byte; }
        }
        let _ = plan(&patched);
    }
}
