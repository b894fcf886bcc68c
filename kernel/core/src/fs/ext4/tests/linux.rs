//! Against Linux's own ext4, by loop mounts: run as root with `--ignored`.

use super::image::{Memory, NOW, Temp, assert_clean, contents, make, mount};
use super::model::Model;
use super::write::file;
use crate::fs::ext4::{Ext4, FileType, Ino, ROOT};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::vec::Vec;
use std::{format, fs};

/// A loop mount that goes away with the test.
struct Mounted(PathBuf);

impl Mounted {
    fn new(temp: &Temp, bytes: &[u8]) -> Self {
        let image = temp.0.join("looped");
        fs::write(&image, bytes).unwrap();
        let point = temp.0.join("mnt");
        fs::create_dir_all(&point).unwrap();
        let status = Command::new("mount")
            .args(["-o", "loop"])
            .args([&image, &point])
            .status();
        assert!(
            status.unwrap().success(),
            "mount -o loop needs root and loop devices"
        );
        Self(point)
    }

    fn unmount(self, temp: &Temp) -> Vec<u8> {
        drop(self);
        fs::read(temp.0.join("looped")).unwrap()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn order(fs: &mut Ext4<Memory>, dir: Ino) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    fs.read_dir(dir, 0, &mut |entry| {
        if entry.name != b"." && entry.name != b".." {
            names.push(entry.name.to_vec());
        }
        true
    })
    .unwrap();
    names
}

fn order_of(path: &Path) -> Vec<Vec<u8>> {
    let names = fs::read_dir(path).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_vec())
        .collect()
}

/// Compares everything beneath a directory, the order of names included.
fn compare(fs: &mut Ext4<Memory>, dir: Ino, path: &Path) -> usize {
    let names = order(fs, dir);
    assert_eq!(names, order_of(path), "order in {}", path.display());
    let mut count = names.len();
    for name in names {
        let ino = fs.lookup(dir, &name).unwrap().unwrap();
        let path = path.join(OsString::from_vec(name));
        let meta = fs::symlink_metadata(&path).unwrap();
        let attr = fs.attr(ino).unwrap();
        assert_eq!(u64::from(attr.ino), meta.ino());
        assert_eq!(u32::from(attr.mode), meta.mode());
        assert_eq!(u64::from(attr.links), meta.nlink());
        assert_eq!(
            (attr.uid, attr.gid, attr.size),
            (meta.uid(), meta.gid(), meta.size())
        );
        assert_eq!(attr.sectors, meta.blocks(), "{}", path.display());
        assert_eq!(
            (attr.mtime.seconds, i64::from(attr.mtime.nanos)),
            (meta.mtime(), meta.mtime_nsec())
        );
        match attr.kind {
            FileType::Directory => count += compare(fs, ino, &path),
            FileType::Regular => assert!(
                contents(fs, ino) == fs::read(&path).unwrap(),
                "{}",
                path.display()
            ),
            FileType::Symlink => {
                let target = fs::read_link(&path).unwrap().into_os_string().into_vec();
                assert_eq!(fs.read_link(ino).unwrap(), target);
            }
            _ => {}
        }
    }
    count
}

fn populate(root: &Path) {
    for (dir, count) in [("one", 1), ("few", 7), ("block", 60), ("many", 4000)] {
        let dir = root.join(dir);
        fs::create_dir(&dir).unwrap();
        for n in 0..count {
            fs::write(
                dir.join(format!("file {n} {}", "\u{e9}".repeat(n % 50))),
                format!("{n}"),
            )
            .unwrap();
        }
    }
    for n in (0..4000).step_by(3) {
        fs::remove_file(root.join(format!("many/file {n} {}", "\u{e9}".repeat(n % 50)))).unwrap();
    }
}

#[test]
#[ignore = "needs root and loop devices"]
fn linux_and_we_read_each_other() {
    for (name, options) in [
        (
            "ext4",
            ["-t", "ext4", "-b", "4096", "-N", "20000"].as_slice(),
        ),
        ("ext4-1k", &["-t", "ext4", "-b", "1024", "-N", "20000"]),
        (
            "ext4-new",
            &[
                "-t",
                "ext4",
                "-b",
                "1024",
                "-N",
                "20000",
                "-O",
                "metadata_csum_seed,orphan_file",
            ],
        ),
        ("ext3", &["-t", "ext3", "-N", "20000"]),
    ] {
        let temp = Temp::new(&format!("linux-{name}"));
        let mounted = Mounted::new(&temp, &make(&temp, "200M", options, None));
        populate(&mounted.0);
        let mut image = mounted.unmount(&temp);
        for round in 0..3 {
            // Ours upon what Linux left.
            let mut model = Model::resume(mount(image), 10 + round);
            for _ in 0..600 {
                model.step();
            }
            model.compare();
            let dir = model.fs.lookup(ROOT, b"many").unwrap();
            if let Some(dir) = dir {
                for n in 0..500 {
                    let name = format!("ours {round} {n}");
                    let _ = model.fs.create(dir, name.as_bytes(), &file(0o100_644));
                }
            }
            image = model.fs.unmount(NOW).unwrap().bytes;
            assert_clean(&temp, &image, name);
            // Linux upon what we left.
            let mounted = Mounted::new(&temp, &image);
            let mut fs = super::image::mount_read_only(image.clone());
            assert!(compare(&mut fs, ROOT, &mounted.0) > 1000);
            let theirs = mounted.0.join(format!("theirs {round}"));
            fs::create_dir(&theirs).unwrap();
            populate(&theirs);
            image = mounted.unmount(&temp);
            assert_clean(&temp, &image, name);
        }
    }
}

/// A machine that stopped: Linux's journal is full of changes, two deleted files were still open.
#[test]
#[ignore = "needs root and loop devices"]
fn replays_what_linux_left_when_it_stopped() {
    for (name, options) in [
        (
            "ext4",
            ["-t", "ext4", "-b", "4096", "-N", "20000"].as_slice(),
        ),
        ("ext4-1k", &["-t", "ext4", "-b", "1024", "-N", "20000"]),
        (
            "ext4-new",
            &[
                "-t",
                "ext4",
                "-b",
                "1024",
                "-N",
                "20000",
                "-O",
                "metadata_csum_seed,orphan_file",
            ],
        ),
        (
            "ext4-narrow",
            &["-t", "ext4", "-N", "20000", "-O", "^64bit,^metadata_csum"],
        ),
        ("ext3", &["-t", "ext3", "-N", "20000"]),
    ] {
        let temp = Temp::new(&format!("journal-{name}"));
        let mounted = Mounted::new(&temp, &make(&temp, "200M", options, None));
        let root = mounted.0.clone();
        populate(&root);
        sync(&root);
        let open: Vec<fs::File> = ["few", "block"]
            .iter()
            .map(|dir| {
                let first = fs::read_dir(root.join(dir))
                    .unwrap()
                    .next()
                    .unwrap()
                    .unwrap();
                let file = fs::File::open(first.path()).unwrap();
                fs::remove_file(first.path()).unwrap();
                file
            })
            .collect();
        fs::remove_dir_all(root.join("many")).unwrap();
        fs::create_dir(root.join("later")).unwrap();
        // Their blocks were directories' before: the journal has to revoke those.
        for n in 0..300 {
            fs::write(root.join(format!("later/{n}")), std::vec![n as u8; 9000]).unwrap();
        }
        sync(&root);
        let stopped = fs::read(temp.0.join("looped")).unwrap();
        assert!(stopped[1024 + 0x60] & 4 != 0, "the journal needs recovery");
        if let Ok(path) = std::env::var("KILN_KEEP_STOPPED") {
            fs::write(path, &stopped).unwrap();
        }
        let mut ours = mount(stopped);
        assert!(compare(&mut ours, ROOT, &root) > 300, "{name}");
        assert!(ours.orphans().is_empty());
        drop(open);
        let bytes = ours.unmount(NOW).unwrap().bytes;
        drop(mounted);
        assert_clean(&temp, &bytes, name);
    }
}

fn sync(path: &Path) {
    let status = Command::new("sync").arg("-f").arg(path).status();
    assert!(status.unwrap().success());
}
