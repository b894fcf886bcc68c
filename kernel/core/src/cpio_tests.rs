//! Archives from the `cpio` command, and broken ones.

use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Default)]
struct Tree {
    entries: Vec<(Header, Vec<u8>, Vec<u8>)>,
    archives: usize,
}

impl Sink for Tree {
    type Error = ();

    fn entry(&mut self, header: &Header, name: &[u8]) -> Result<(), ()> {
        self.entries.push((*header, name.to_vec(), Vec::new()));
        Ok(())
    }

    fn contents(&mut self, bytes: &[u8]) -> Result<(), ()> {
        let entry = self.entries.last_mut().ok_or(())?;
        entry.2.extend_from_slice(bytes);
        Ok(())
    }

    fn end_of_archive(&mut self) -> Result<(), ()> {
        self.archives += 1;
        Ok(())
    }
}

fn sample() -> Vec<u8> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(std::format!("kiln-cpio-{}-{call}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("d")).expect("create");
    for len in [0usize, 1, 2, 3, 4, 5, 5000] {
        fs::write(dir.join(std::format!("d/f{len}")), std::vec![7; len]).expect("write");
    }
    fs::write(dir.join("odd \u{fc}\"'"), b"odd").expect("write");
    fs::hard_link(dir.join("d/f5000"), dir.join("hard")).expect("link");
    symlink("d/f5", dir.join("link")).expect("symlink");
    let mut names = Vec::new();
    for name in [
        "d",
        "d/f0",
        "d/f1",
        "d/f2",
        "d/f3",
        "d/f4",
        "d/f5",
        "d/f5000",
        "odd \u{fc}\"'",
        "hard",
        "link",
    ] {
        names.extend_from_slice(std::ffi::OsStr::new(name).as_bytes());
        names.push(b'\n');
    }
    let mut child = Command::new("cpio")
        .args(["--quiet", "-o", "-H", "newc"])
        .current_dir(&dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command cpio is needed");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(&names).expect("names");
    drop(stdin);
    let output = child.wait_with_output().expect("cpio");
    assert!(output.status.success());
    let ino = fs::metadata(dir.join("hard")).expect("exists").ino();
    assert!(ino > 0);
    let _ = fs::remove_dir_all(&dir);
    output.stdout
}

fn read(bytes: &[u8], step: usize) -> Result<Tree, Error<()>> {
    let (mut tree, mut reader) = (Tree::default(), Reader::new());
    for piece in bytes.chunks(step.max(1)) {
        reader.push(piece, &mut tree)?;
    }
    reader.finish()?;
    Ok(tree)
}

#[test]
fn pieces_of_any_size() {
    let archive = sample();
    for step in [1, 3, 110, 4096, archive.len()] {
        let tree = read(&archive, step).expect("a good archive");
        let by_name: BTreeMap<_, _> = tree
            .entries
            .iter()
            .map(|(header, name, bytes)| (name.as_slice(), (header, bytes)))
            .collect();
        assert_eq!(tree.entries.len(), 11);
        assert_eq!(by_name[&b"d/f3"[..]].1.as_slice(), [7; 3]);
        assert_eq!(by_name[&b"link"[..]].1.as_slice(), b"d/f5");
        assert_eq!(by_name["odd \u{fc}\"'".as_bytes()].1.as_slice(), b"odd");
        let (first, second) = (by_name[&b"d/f5000"[..]], by_name[&b"hard"[..]]);
        assert_eq!(first.0.ino, second.0.ino);
        assert_eq!(first.0.nlink, 2);
        assert_eq!(first.1.len() + second.1.len(), 5000, "contents come once");
        assert_eq!(tree.archives, 1);
    }
}

#[test]
fn archives_follow_each_other() {
    let mut twice = sample();
    twice.extend_from_slice(&[0; 1000]);
    twice.extend_from_slice(&sample());
    let tree = read(&twice, 512).expect("two archives");
    assert_eq!((tree.entries.len(), tree.archives), (22, 2));
}

#[test]
fn truncation_is_noticed_wherever_it_is() {
    let archive = sample();
    let trailer = archive
        .windows(TRAILER.len())
        .position(|window| window == TRAILER)
        .expect("a trailer");
    for cut in (0..trailer + TRAILER.len()).step_by(7) {
        let error = read(&archive[..cut], 4096).err();
        assert_eq!(error, Some(Error::Truncated), "{cut}");
    }
}

#[test]
fn nonsense_is_refused() {
    assert_eq!(read(b"hello", 9).err(), Some(Error::NotCpio(0)));
    let mut archive = sample();
    archive[20] = b'x';
    assert_eq!(read(&archive, 4096).err(), Some(Error::BadHeader(0)));
    let mut archive = sample();
    archive[6 + 11 * 8..6 + 12 * 8].copy_from_slice(b"FFFFFFFF");
    assert_eq!(read(&archive, 4096).err(), Some(Error::BadHeader(0)));
}
