//! Changes, compared with a model and judged by e2fsck.

use super::image::{NOW, Temp, assert_clean, contents, list, make, mount};
use super::model::Model;
use crate::fs::ext4::{Error, Fill, NewFile, ROOT, State};
use std::vec::Vec;
use std::{format, println};

const FORMATS: [(&str, &[&str]); 7] = [
    ("ext4", &["-t", "ext4", "-b", "4096"]),
    ("ext4-1k", &["-t", "ext4", "-b", "1024"]),
    (
        "ext4-seed",
        &[
            "-t",
            "ext4",
            "-O",
            "metadata_csum_seed,large_dir",
            "-b",
            "1024",
        ],
    ),
    (
        "ext4-uninit",
        &["-t", "ext4", "-O", "^metadata_csum,uninit_bg"],
    ),
    (
        "ext4-plain",
        &["-t", "ext4", "-O", "^metadata_csum,^64bit", "-I", "128"],
    ),
    ("ext3", &["-t", "ext3", "-b", "2048"]),
    (
        "ext2-1k",
        &["-t", "ext2", "-b", "1024", "-O", "^filetype,^dir_index"],
    ),
];

pub(super) fn file(mode: u16) -> NewFile<'static> {
    NewFile {
        mode,
        uid: 0,
        gid: 0,
        device: 0,
        target: b"",
        now: NOW,
    }
}

#[test]
fn an_untouched_file_system_stays_clean() {
    for (name, options) in FORMATS {
        let temp = Temp::new(&format!("untouched-{name}"));
        let fs = mount(make(&temp, "40M", options, None));
        let bytes = fs.unmount(NOW).unwrap().bytes;
        assert_clean(&temp, &bytes, name);
    }
}

#[test]
fn random_operations_agree_with_the_model() {
    for (name, options) in FORMATS {
        let temp = Temp::new(&format!("model-{name}"));
        let mut model = Model::new(mount(make(&temp, "40M", options, None)), 1);
        for round in 0..4 {
            for _ in 0..700 {
                model.step();
            }
            model.compare();
            let bytes = model.fs.unmount(NOW).unwrap().bytes;
            assert_clean(&temp, &bytes, &format!("{name}, round {round}"));
            model.fs = mount(bytes);
            model.compare();
        }
        println!("{name}: {}", model.describe());
    }
}

#[test]
fn a_full_disk_fails_cleanly() {
    for (name, options) in FORMATS {
        let temp = Temp::new(&format!("full-{name}"));
        let mut model = Model::new(mount(make(&temp, "6M", options, None)), 2);
        model.full = true;
        model.reach = 2_000_000;
        for _ in 0..1500 {
            model.step();
        }
        model.compare();
        let bytes = model.fs.unmount(NOW).unwrap().bytes;
        assert_clean(&temp, &bytes, name);
    }
}

#[test]
fn large_directories_grow_an_index() {
    for (name, options) in FORMATS {
        let temp = Temp::new(&format!("many-{name}"));
        let mut with_inodes = options.to_vec();
        with_inodes.extend(["-N", "14000"]);
        let mut fs = mount(make(&temp, "64M", &with_inodes, None));
        let dir = fs.create(ROOT, b"dir", &file(0o040_755)).unwrap();
        let count = if name == "ext2-1k" { 2000 } else { 12_000 };
        let long = |n: u32| format!("{n} {}", "x".repeat((n % 120) as usize)).into_bytes();
        for n in 0..count {
            fs.create(dir, &long(n), &file(0o100_644)).unwrap();
        }
        assert_eq!(
            fs.create(dir, &long(7), &file(0o100_644)),
            Err(Error::Exists)
        );
        assert_eq!(list(&mut fs, dir).len(), count as usize);
        let bytes = fs.unmount(NOW).unwrap().bytes;
        assert_clean(&temp, &bytes, name);
        let mut fs = mount(bytes);
        for n in 0..count {
            assert!(
                fs.lookup(dir, &long(n)).unwrap().is_some(),
                "{name}: {n} is missing"
            );
        }
        for n in (0..count).filter(|n| n % 3 != 0) {
            let gone = fs.unlink(dir, &long(n), NOW).unwrap();
            fs.evict(gone.ino, NOW).unwrap();
        }
        assert_eq!(list(&mut fs, dir).len(), count.div_ceil(3) as usize);
        let bytes = fs.unmount(NOW).unwrap().bytes;
        assert_clean(&temp, &bytes, name);
    }
}

#[test]
fn a_large_file_lies_in_long_extents() {
    let temp = Temp::new("extents");
    let mut fs = mount(make(&temp, "600M", &["-t", "ext4", "-b", "4096"], None));
    let ino = fs.create(ROOT, b"big", &file(0o100_644)).unwrap();
    let blocks = 512 * 256;
    let mut at = 0;
    while at < blocks {
        let got = fs.allocate(ino, at, 256, Fill::Written).unwrap();
        assert!(got.new);
        at += got.mapping.length.min(256);
    }
    fs.set_size(ino, u64::from(blocks) * 4096, NOW).unwrap();
    let (mut at, mut pieces) = (0, 0);
    while at < blocks {
        let mapping = fs.map(ino, at, u32::MAX).unwrap();
        assert_eq!(mapping.state, State::Written);
        at += mapping.length;
        pieces += 1;
    }
    assert!(pieces <= 12, "{pieces} extents");
    assert_clean(&temp, &fs.unmount(NOW).unwrap().bytes, "large file");
}

#[test]
fn many_extents_split_and_go() {
    for (name, options) in FORMATS {
        let temp = Temp::new(&format!("fragments-{name}"));
        let mut fs = mount(make(&temp, "64M", options, None));
        let ino = fs.create(ROOT, b"comb", &file(0o100_644)).unwrap();
        let block = fs.block_size() as u64;
        let order: Vec<u64> = (0..3000u64).map(|n| n * 1999 % 3000).collect();
        for n in &order {
            fs.write(ino, n * 2 * block, &n.to_le_bytes(), NOW).unwrap();
        }
        let bytes = fs.unmount(NOW).unwrap().bytes;
        assert_clean(&temp, &bytes, name);
        let mut fs = mount(bytes);
        let all = contents(&mut fs, ino);
        for n in 0..3000u64 {
            let at = (n * 2 * block) as usize;
            assert_eq!(all[at..at + 8], n.to_le_bytes());
        }
        fs.truncate_data(ino, 2999 * block, NOW).unwrap();
        let bytes = fs.unmount(NOW).unwrap().bytes;
        assert_clean(&temp, &bytes, name);
        let mut fs = mount(bytes);
        let gone = fs.unlink(ROOT, b"comb", NOW).unwrap();
        fs.evict(gone.ino, NOW).unwrap();
        assert_clean(&temp, &fs.unmount(NOW).unwrap().bytes, name);
    }
}

#[test]
fn a_failing_disk_is_told_and_loses_nothing_that_was_synced() {
    let temp = Temp::new("failing");
    let mut model = Model::new(mount(make(&temp, "40M", FORMATS[0].1, None)), 5);
    for _ in 0..300 {
        model.step();
    }
    model.fs.sync().unwrap();
    let before = model.fs.device().bytes.clone();
    model.fs.device().fails_after = Some(0);
    let name = b"never on the disk";
    model.fs.create(ROOT, name, &file(0o100_644)).unwrap();
    assert_eq!(model.fs.sync(), Err(Error::Io));
    assert!(model.fs.device().bytes == before, "nothing was written");
    // The disk comes back: what waited is written, and nothing is missing.
    model.fs.device().fails_after = None;
    model
        .fs
        .unlink(ROOT, name, NOW)
        .and_then(|gone| model.fs.evict(gone.ino, NOW))
        .unwrap();
    model.compare();
    assert_clean(
        &temp,
        &model.fs.unmount(NOW).unwrap().bytes,
        "after the disk came back",
    );
}
