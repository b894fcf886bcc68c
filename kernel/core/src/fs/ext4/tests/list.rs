//! Listing goes on where it stopped, whatever happened to the directory in between.

use super::image::{Memory, NOW, Temp, list, make, mount};
use super::random::Random;
use super::write::file;
use crate::fs::ext4::{Ext4, Ino, ROOT};
use std::collections::BTreeMap;
use std::format;
use std::vec::Vec;

/// Up to `count` names from `cursor` on, and the cursor behind them.
fn some(fs: &mut Ext4<Memory>, dir: Ino, cursor: &mut u64, count: usize) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    fs.read_dir(dir, *cursor, &mut |entry| {
        if names.len() == count {
            return false;
        }
        assert!(entry.next > *cursor, "cursors go up");
        *cursor = entry.next;
        names.push(entry.name.to_vec());
        true
    })
    .unwrap();
    names
}

fn check(name: &str, options: &[&str], count: u32, exact: bool) {
    let temp = Temp::new(&format!("list-{name}-{count}"));
    let mut fs = mount(make(&temp, "32M", options, None));
    let dir = fs.create(ROOT, b"dir", &file(0o040_755)).unwrap();
    let lasting = |n: u32| format!("lasting {n}").into_bytes();
    for n in 0..count {
        fs.create(dir, &lasting(n), &file(0o010_644)).unwrap();
        fs.create(dir, format!("passing {n}").as_bytes(), &file(0o010_644))
            .unwrap();
    }
    let mut random = Random::new(u64::from(count));
    let mut seen: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    let (mut cursor, mut round) = (0, 0);
    loop {
        let names = some(&mut fs, dir, &mut cursor, 1 + random.below(7) as usize);
        if names.is_empty() {
            break;
        }
        for name in names {
            *seen.entry(name).or_default() += 1;
        }
        round += 1;
        let victim = format!("passing {}", random.below(u64::from(count)));
        let _ = fs.unlink(dir, victim.as_bytes(), NOW);
        if round < 3 * count && exact {
            let _ = fs.create(dir, format!("new {round}").as_bytes(), &file(0o010_644));
        }
    }
    for n in 0..count {
        assert_eq!(seen.get(&lasting(n)), Some(&1), "{name}: {n}");
    }
    assert_eq!((seen[b".".as_slice()], seen[b"..".as_slice()]), (1, 1));
    assert!(list(&mut fs, dir).len() >= count as usize);
}

#[test]
fn every_name_comes_once() {
    let indexed = ["-t", "ext4", "-b", "1024", "-N", "9000"];
    for count in [3, 12, 40, 300, 1500] {
        check("indexed", &indexed, count, true);
    }
    // Without an index names may move into blocks not yet listed, so only removals are tried.
    let linear = ["-t", "ext2", "-b", "1024", "-O", "^dir_index", "-N", "9000"];
    for count in [3, 40, 300] {
        check("linear", &linear, count, false);
    }
}
