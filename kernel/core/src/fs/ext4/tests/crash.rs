//! Crashes: the disk as it may be when the machine stops at any instant. What came before the
//! last flush is there; of what came after it, any parts.
//!
//! The journal is replayed by this room and, apart from that, by e2fsck; both must leave a clean
//! file system that holds what the last sync had, or the one that was under way.

use super::image::{Done, Memory, NOW, Temp, make, mount, tool};
use super::model::{Model, Node, without_data};
use super::random::Random;
use crate::fs::ext4::{Ext4, Ino, Options};
use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;
use std::{env, format, fs, println};

const FORMATS: [(&str, &[&str]); 4] = [
    ("ext4", &["-t", "ext4", "-b", "4096"]),
    ("ext4-1k", &["-t", "ext4", "-b", "1024"]),
    (
        "ext4-plain",
        &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^64bit"],
    ),
    ("ext3", &["-t", "ext3", "-b", "2048"]),
];

/// What a disk writes whole or not at all: the superblock, at least.
const UNIT: usize = 1024;

type Nodes = BTreeMap<Ino, Node>;

/// The disk after a crash behind step `at` of the record.
fn crashed(base: &[u8], record: &[Done], at: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = base.to_vec();
    let done = &record[..at];
    let last_flush = done
        .iter()
        .rposition(|step| matches!(step, Done::Flush))
        .unwrap_or(0);
    for (index, step) in done.iter().enumerate() {
        let Done::Write(offset, data) = step else {
            continue;
        };
        // Sometimes all of it arrived, sometimes hardly anything.
        let keep = random.below(9);
        for (sector, chunk) in data.chunks(UNIT).enumerate() {
            if index > last_flush && random.below(8) >= keep {
                continue;
            }
            let start = *offset as usize + sector * UNIT;
            bytes[start..start + chunk.len()].copy_from_slice(chunk);
        }
    }
    bytes
}

/// A mounted file system whose commits all are the test's own syncs.
fn mount_large(bytes: Vec<u8>) -> Ext4<Memory> {
    let options = Options {
        now: NOW,
        cache_bytes: 8 << 20,
        ..Options::default()
    };
    Ext4::mount(Memory::new(bytes), &options).unwrap()
}

fn shown(nodes: &Nodes) -> BTreeMap<Ino, Node> {
    nodes
        .iter()
        .map(|(ino, node)| (*ino, without_data(node)))
        .collect()
}

/// The first difference, for people.
fn difference(a: &Nodes, b: &Nodes) -> String {
    let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
    for ino in keys {
        if a.get(ino) != b.get(ino) {
            let mut text = format!("inode {ino}: {:?} and {:?}", a.get(ino), b.get(ino));
            text.truncate(600);
            return text;
        }
    }
    String::new()
}

fn check(temp: &Temp, bytes: &[u8], states: (&Nodes, &Nodes), what: &str) {
    let (ours, theirs) = (temp.0.join("ours"), temp.0.join("theirs"));
    let keep = |code: i32, text: &str| {
        if code > 1 {
            let _ = fs::write(env::temp_dir().join("kiln-ext4-crash.img"), bytes);
        }
        assert!(code <= 1, "{what}: e2fsck says ({code}):\n{text}");
    };
    // This room replays the journal, and e2fsck does; then neither finds anything.
    for (path, replay) in [(&ours, false), (&theirs, true)] {
        let mut image = bytes.to_vec();
        if replay {
            fs::write(path, &image).unwrap();
            let arguments = ["-E", "journal_only", "-y", path.to_str().unwrap()];
            let (code, text) = tool("e2fsck", &arguments);
            keep(code, &text);
            image = fs::read(path).unwrap();
        }
        let whole = mount(image).unmount(NOW).unwrap().bytes;
        fs::write(path, &whole).unwrap();
        let (code, text) = tool("e2fsck", &["-fn", path.to_str().unwrap()]);
        keep(2 * code, &text);
        state(path, states, what);
    }
}

/// What is there must be what one of two syncs left.
fn state(path: &std::path::Path, (before, after): (&Nodes, &Nodes), what: &str) {
    let recovered = mount(fs::read(path).unwrap());
    let model = Model::resume(recovered, 1);
    let found = shown(&model.nodes);
    let (before, after) = (shown(before), shown(after));
    assert!(
        found == before || found == after,
        "{what}: neither of the syncs' states: {}; {}",
        difference(&found, &before),
        difference(&found, &after)
    );
}

/// One life: operations with a sync now and then, and crashes within it.
fn life(name: &str, options: &[&str], seed: u64, crashes: usize) {
    let temp = Temp::new(&format!("crash-{name}-{seed}"));
    let mut random = Random::new(seed + 77);
    let mut model = Model::new(mount_large(make(&temp, "16M", options, None)), seed);
    model.reach = 60_000;
    model.fs.set_discard(seed % 2 == 1);
    for _ in 0..100 {
        model.step();
    }
    model.fs.sync().unwrap();
    let base = model.fs.device().bytes.clone();
    model.fs.device().record = Some(Vec::new());
    // Length of the record when each sync began and ended, and the state that it made durable.
    let mut syncs = std::vec![(0, 0, model.nodes.clone())];
    for _ in 0..25 {
        for _ in 0..1 + random.below(30) {
            model.step();
        }
        let began = model.fs.device().record.as_ref().unwrap().len();
        model.fs.sync().unwrap();
        let ended = model.fs.device().record.as_ref().unwrap().len();
        syncs.push((began, ended, model.nodes.clone()));
    }
    let record = model.fs.device().record.take().unwrap();
    for _ in 0..crashes {
        let at = random.below(record.len() as u64) as usize;
        let bytes = crashed(&base, &record, at, &mut random);
        let last = syncs
            .iter()
            .rposition(|(_, ended, _)| *ended <= at)
            .unwrap();
        let next = (last + 1).min(syncs.len() - 1);
        let after = if syncs[next].0 < at { next } else { last };
        let states = (&syncs[last].2, &syncs[after].2);
        check(
            &temp,
            &bytes,
            states,
            &format!("{name}, seed {seed}, crash at {at}"),
        );
    }
}

#[test]
fn a_crash_leaves_what_was_synced() {
    let number = |name, or| env::var(name).map_or(or, |text| text.parse().unwrap());
    let lives: u64 = number("KILN_CRASH_LIVES", 2);
    for (name, options) in FORMATS {
        for seed in 0..lives {
            life(name, options, seed, 12);
        }
        println!("{name}: fine");
    }
}
