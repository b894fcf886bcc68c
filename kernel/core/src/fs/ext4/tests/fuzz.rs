//! Damaged images: whatever stands on the disk, operations answer errors and come to an end.

use super::image::{Memory, NOW, Temp, make, mount};
use super::model::Model;
use super::random::Random;
use super::write::file;
use crate::fs::ext4::{Ext4, FileType, How, Ino, Options, ROOT, SetAttr, SetMode};
use std::collections::HashSet;
use std::vec::Vec;
use std::{env, format};

/// Visits what can be reached, reading everything; answers inodes and names found.
fn visit(fs: &mut Ext4<Memory>) -> Vec<(Ino, Vec<u8>, Ino)> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut todo = std::vec![ROOT];
    let mut buffer = std::vec![0; 40_000];
    while let Some(dir) = todo.pop() {
        if !seen.insert(dir) {
            continue;
        }
        let mut entries = Vec::new();
        let _ = fs.read_dir(dir, 0, &mut |entry| {
            entries.push((entry.name.to_vec(), entry.ino));
            entries.len() < 3000
        });
        for (name, ino) in entries {
            let _ = fs.lookup(dir, &name);
            let kind = fs.attr(ino).map(|attr| attr.kind);
            match kind {
                Ok(FileType::Directory) => todo.push(ino),
                Ok(FileType::Regular) => {
                    for offset in [0, 1000, 100_000, 1 << 33] {
                        let _ = fs.read(ino, offset, &mut buffer);
                    }
                    let _ = fs.map(ino, u32::MAX, u32::MAX);
                }
                Ok(FileType::Symlink) => drop(fs.read_link(ino)),
                _ => {}
            }
            let mut names = Vec::new();
            let _ = fs.list_xattr(ino, &mut |name| names.push(name.to_vec()));
            for name in names {
                let _ = fs.get_xattr(ino, &name);
            }
            found.push((dir, name, ino));
        }
    }
    found
}

fn disturb(fs: &mut Ext4<Memory>, random: &mut Random) {
    let found = visit(fs);
    for round in 0..60u64 {
        let pick = |random: &mut Random| {
            let index = random.below(found.len() as u64) as usize;
            found
                .get(index)
                .cloned()
                .unwrap_or((ROOT, b"x".to_vec(), 12))
        };
        let (dir, name, ino) = pick(random);
        let (other_dir, other_name, _) = pick(random);
        let new_name = format!("new {round}").into_bytes();
        match random.below(13) {
            0 => drop(fs.create(dir, &new_name, &file(0o100_644))),
            1 => drop(fs.create(dir, &new_name, &file(0o040_755))),
            2 => {
                if let Ok(gone) = fs.unlink(dir, &name, NOW) {
                    let _ = fs.evict(gone.ino, NOW);
                }
            }
            3 => drop(fs.rmdir(dir, &name, NOW)),
            4 => drop(fs.rename((dir, &name), (other_dir, &other_name), How::Replace, NOW)),
            5 => drop(fs.rename((dir, &name), (other_dir, &new_name), How::Exchange, NOW)),
            6 => drop(fs.write(ino, random.below(1 << 20), &std::vec![7; 9000], NOW)),
            7 => drop(fs.truncate_data(ino, random.below(1 << 20), NOW)),
            8 => drop(fs.set_xattr(ino, b"user.fuzz", &[1; 400], SetMode::Any, NOW)),
            9 => drop(fs.fallocate(ino, random.below(1 << 24), 100_000, false, NOW)),
            10 => drop(fs.punch_hole(ino, random.below(1 << 20), 100_000, NOW)),
            11 => drop(fs.link(ino, other_dir, &new_name, NOW)),
            _ => {
                let set = SetAttr {
                    uid: Some(7),
                    ..SetAttr::default()
                };
                let _ = fs.set_attr(ino, &set);
            }
        }
    }
    let _ = fs.sync();
    let _ = fs.statfs();
}

/// The parts of an image that aren't zero: those are what's worth damaging.
fn interesting(bytes: &[u8]) -> Vec<usize> {
    let chunks = bytes.chunks(64).enumerate();
    chunks
        .filter(|(_, chunk)| chunk.iter().any(|byte| *byte != 0))
        .map(|(index, _)| index * 64)
        .collect()
}

fn damage(bytes: &mut [u8], places: &[usize], random: &mut Random) {
    for _ in 0..1 + random.below(12) {
        let place = places[random.below(places.len() as u64) as usize] + random.below(64) as usize;
        let width = [1, 2, 4][random.below(3) as usize];
        let value = match random.below(4) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << random.below(32),
            _ => random.next(),
        };
        for (byte, new) in bytes[place..place + width]
            .iter_mut()
            .zip(value.to_le_bytes())
        {
            *byte = if random.chance(2) {
                new
            } else {
                *byte ^ (1 << random.below(8))
            };
        }
    }
}

#[test]
fn damage_is_answered_with_errors() {
    // The formats without checksums let the damage through to the code behind.
    for (name, options) in [
        (
            "plain",
            ["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^64bit"].as_slice(),
        ),
        (
            "wide",
            &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,large_dir"],
        ),
        ("csum", &["-t", "ext4", "-b", "1024"]),
        ("ext2", &["-t", "ext2", "-b", "1024"]),
    ] {
        let temp = Temp::new(&format!("fuzz-{name}"));
        let mut model = Model::new(mount(make(&temp, "4M", options, None)), 3);
        model.full = true;
        for _ in 0..900 {
            model.step();
        }
        for n in 0..150 {
            let _ = model.fs.create(
                ROOT,
                format!("filler number {n}").as_bytes(),
                &file(0o100_644),
            );
        }
        let whole = model.fs.unmount(NOW).unwrap().bytes;
        rounds(&whole);
    }
}

/// An image of one's own: `KILN_FUZZ_IMAGE=... cargo test -p kiln-core fuzz -- --ignored`.
#[test]
#[ignore = "needs KILN_FUZZ_IMAGE"]
fn damage_to_a_given_image() {
    rounds(&std::fs::read(env::var("KILN_FUZZ_IMAGE").unwrap()).unwrap());
}

/// Damages an image in many ways, each time anew, and runs everything over it.
fn rounds(whole: &[u8]) {
    let places = interesting(whole);
    let number = |name, or| env::var(name).map_or(or, |text| text.parse().unwrap());
    let first: u64 = number("KILN_FUZZ_FIRST", 0);
    for seed in first..first + number("KILN_FUZZ_ROUNDS", 400) {
        let mut random = Random::new(seed + 1);
        let mut bytes = whole.to_vec();
        // The file contents are most of the image: favour its first quarter.
        let upto = if random.chance(4) {
            places.len()
        } else {
            places.len() / 4
        };
        damage(&mut bytes, &places[..upto], &mut random);
        let options = Options {
            now: NOW,
            cache_bytes: 1 << 16,
            ..Options::default()
        };
        if let Ok(mut fs) = Ext4::mount(Memory::new(bytes), &options) {
            disturb(&mut fs, &mut random);
        }
    }
}
