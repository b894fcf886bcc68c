//! Trees that mke2fs packed come out as they went in.

use super::image::{Temp, contents, list, make, mount_read_only};
use crate::fs::ext4::tests::image::Memory;
use crate::fs::ext4::{Ext4, FileType, Ino, ROOT};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::string::String;
use std::vec::Vec;
use std::{format, fs};

/// A tree with something of everything.
fn build(root: &Path) {
    fs::create_dir_all(root.join("deep/er/still")).unwrap();
    fs::write(root.join("deep/er/still/leaf"), b"leaf\n").unwrap();
    fs::write(root.join("empty"), b"").unwrap();
    let big: Vec<u8> = (0..3_000_000u32).flat_map(|n| n.to_le_bytes()).collect();
    fs::write(root.join("big"), &big).unwrap();
    fs::create_dir(root.join("many")).unwrap();
    for n in 0..900 {
        fs::write(root.join(format!("many/file number {n}")), format!("{n}\n")).unwrap();
    }
    symlink("short/target", root.join("short")).unwrap();
    symlink("x/".repeat(150), root.join("long")).unwrap();
    fs::hard_link(root.join("empty"), root.join("second name")).unwrap();
    fs::write(root.join("n".repeat(255)), b"odd").unwrap();
    fs::write(root.join("new\nline \u{e9}\u{4e2d}"), b"odd").unwrap();
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(20_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 10_000_000).unwrap();
    fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o4711)).unwrap();
}

fn compare(fs: &mut Ext4<Memory>, dir: Ino, path: &Path) -> usize {
    let mut expected: Vec<Vec<u8>> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_encoded_bytes())
        .collect();
    expected.sort();
    let mut found = list(fs, dir);
    found.retain(|(name, _)| name != b"lost+found");
    let names: Vec<Vec<u8>> = found.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, expected, "names in {}", path.display());
    let mut count = found.len();
    for (name, ino) in found {
        assert_eq!(fs.lookup(dir, &name), Ok(Some(ino)));
        let path = path.join(String::from_utf8(name).unwrap());
        count += compare_file(fs, ino, &path);
    }
    assert_eq!(fs.lookup(dir, b"no such name"), Ok(None));
    count
}

fn compare_file(fs: &mut Ext4<Memory>, ino: Ino, path: &Path) -> usize {
    let meta = fs::symlink_metadata(path).unwrap();
    let attr = fs.attr(ino).unwrap();
    assert_eq!(u32::from(attr.mode), meta.mode(), "{}", path.display());
    assert_eq!(attr.mtime.seconds, meta.mtime());
    assert_eq!((attr.uid, attr.gid), (meta.uid(), meta.gid()));
    match attr.kind {
        FileType::Directory => return compare(fs, ino, path),
        FileType::Regular => {
            assert_eq!(attr.links as u64, meta.nlink());
            assert_eq!(
                contents(fs, ino),
                fs::read(path).unwrap(),
                "{}",
                path.display()
            );
        }
        FileType::Symlink => {
            let target = fs::read_link(path).unwrap();
            assert_eq!(
                fs.read_link(ino).unwrap(),
                target.into_os_string().into_encoded_bytes()
            );
        }
        FileType::Fifo => assert!(meta.file_type().is_fifo()),
        other => panic!("unexpected {other:?}"),
    }
    0
}

#[test]
fn reads_what_mke2fs_packed() {
    for (name, options) in [
        ("ext4", ["-t", "ext4", "-b", "4096"].as_slice()),
        ("ext4-1k", &["-t", "ext4", "-b", "1024"]),
        (
            "ext4-seed",
            &[
                "-t",
                "ext4",
                "-O",
                "metadata_csum_seed,orphan_file,large_dir",
            ],
        ),
        (
            "ext4-meta-bg",
            &["-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode"],
        ),
        (
            "ext4-plain",
            &["-t", "ext4", "-O", "^metadata_csum,^64bit", "-I", "128"],
        ),
        ("ext3", &["-t", "ext3"]),
        ("ext2-1k", &["-t", "ext2", "-b", "1024"]),
        (
            "ext2-2k",
            &["-t", "ext2", "-b", "2048", "-O", "^filetype,^dir_index"],
        ),
        ("rev0", &["-t", "ext2", "-r", "0"]),
    ] {
        let temp = Temp::new(&format!("read-{name}"));
        let tree = temp.0.join("tree");
        build(&tree);
        let mut fs = mount_read_only(make(&temp, "64M", options, Some(&tree)));
        let count = compare(&mut fs, ROOT, &tree);
        assert!(count > 910, "{name}: only {count} entries");
    }
}
