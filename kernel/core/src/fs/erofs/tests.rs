//! Images from mkfs.erofs (erofs-utils) read back and compared with the tree they were made of.

use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::string::String;

struct Image(Vec<u8>);

impl Source for Image {
    fn read(&self, offset: u64, buf: &mut [u8]) -> bool {
        self.0.as_slice().read(offset, buf)
    }
}

fn make(name: &str, build: impl FnOnce(&Path)) -> (PathBuf, Vec<u8>) {
    // Beside the build: what is temporary may lie on a file system without attributes.
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp");
    let dir = dir.join(std::format!("kiln-erofs-{name}"));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("tree")).expect("create");
    build(&dir.join("tree"));
    let image = dir.join("image");
    let made = Command::new("mkfs.erofs")
        .args(["-d1", "-x1", "-T", "1000"])
        .args([&image, &dir.join("tree")])
        .output()
        .expect("mkfs.erofs of the package erofs-utils is needed");
    assert!(made.status.success(), "{made:?}");
    let bytes = fs::read(&image).expect("the image");
    (dir, bytes)
}

fn sample(root: &Path) {
    fs::create_dir_all(root.join("a/deep/er")).expect("create");
    for (name, len) in [
        ("empty", 0),
        ("small", 100),
        ("page", 4096),
        ("big", 300_001),
    ] {
        let bytes: Vec<u8> = (0..len).map(|i: u32| (i % 251) as u8).collect();
        fs::write(root.join("a").join(name), bytes).expect("write");
    }
    fs::create_dir(root.join("many")).expect("create");
    for i in 0..2000 {
        fs::write(root.join("many").join(std::format!("file-{i}")), b"x").expect("write");
    }
    symlink("a/small", root.join("link")).expect("symlink");
    symlink("x".repeat(3000), root.join("longlink")).expect("symlink");
    fs::hard_link(root.join("a/big"), root.join("hard")).expect("link");
    fs::write(root.join("odd \n\u{fc}").with_extension("~"), b"odd").expect("write");
    fs::write(root.join("x".repeat(200)), b"long").expect("write");
    fs::set_permissions(root.join("a/page"), fs::Permissions::from_mode(0o4751)).expect("chmod");
}

type Tree = BTreeMap<Vec<u8>, (u32, u64, Vec<u8>)>;

fn host_tree(dir: &Path, prefix: &str, out: &mut Tree) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let entry = entry.expect("an entry");
        let meta = fs::symlink_metadata(entry.path()).expect("exists");
        let mut name = prefix.as_bytes().to_vec();
        name.extend_from_slice(entry.file_name().as_bytes());
        let bytes = if meta.is_dir() {
            let below = std::format!("{}/", String::from_utf8_lossy(&name));
            host_tree(&entry.path(), &below, out);
            Vec::new()
        } else if meta.is_symlink() {
            let target = fs::read_link(entry.path()).expect("a link");
            target.as_os_str().as_bytes().to_vec()
        } else {
            fs::read(entry.path()).expect("a file")
        };
        out.insert(name, (meta.mode(), meta.nlink(), bytes));
    }
}

fn image_tree(image: &Erofs<Image>, dir: &Inode, prefix: &str, out: &mut Tree) {
    let mut names = Vec::new();
    image
        .for_each(dir, |entry| {
            names.push((entry.name.to_vec(), entry.nid, entry.kind));
            Ok(())
        })
        .expect("a directory");
    for (name, nid, kind) in names {
        assert_eq!(image.lookup(dir, &name), Ok(Some((nid, kind))));
        let inode = image.inode(nid).expect("an inode");
        assert_eq!(inode.attr.kind, kind);
        let mut path = prefix.as_bytes().to_vec();
        path.extend_from_slice(&name);
        let mut bytes = Vec::new();
        if inode.attr.is_dir() {
            let below = std::format!("{}/", String::from_utf8_lossy(&path));
            image_tree(image, &inode, &below, out);
        } else {
            bytes = image.read_all(&inode, 1 << 20).expect("its bytes");
        }
        let nlink = u64::from(inode.attr.nlink);
        out.insert(path, (inode.attr.st_mode(), nlink, bytes));
    }
}

#[test]
fn a_tree_comes_back() {
    let (dir, bytes) = make("tree", sample);
    let image = Erofs::open(Image(bytes)).expect("an image");
    let root = image.inode(image.root()).expect("the root");
    let (mut ours, mut host) = (Tree::new(), Tree::new());
    image_tree(&image, &root, "", &mut ours);
    host_tree(&dir.join("tree"), "", &mut host);
    assert_eq!(ours.len(), host.len());
    for (path, want) in &host {
        assert_eq!(ours.get(path), Some(want), "{}", path.escape_ascii());
    }
    for missing in ["a0", "", "zzz", "file-"] {
        assert_eq!(image.lookup(&root, missing.as_bytes()), Ok(None));
    }
    let _ = fs::remove_dir_all(dir);
}

#[test]
fn whole_blocks_are_found_in_place() {
    let (dir, bytes) = make("extent", sample);
    let image = Erofs::open(Image(bytes.clone())).expect("an image");
    let root = image.inode(image.root()).expect("the root");
    let (nid, _) = image.lookup(&root, b"hard").expect("read").expect("there");
    let inode = image.inode(nid).expect("an inode");
    let at = usize_of(image.extent(&inode, 3).expect("a block"));
    let want: Vec<u8> = (3 * 4096..4 * 4096).map(|i: u32| (i % 251) as u8).collect();
    assert_eq!(&bytes[at..at + 4096], want);
    assert_eq!(image.extent(&inode, 300_001 / 4096 + 1), None);
    let _ = fs::remove_dir_all(dir);
}

#[test]
fn attributes_come_back() {
    let (dir, bytes) = make("xattr", |root| {
        fs::write(root.join("f"), b"x").expect("write");
        let set = Command::new("setfattr")
            .args(["-n", "user.a", "-v", "value"])
            .arg(root.join("f"))
            .status();
        assert!(set.is_ok_and(|status| status.success()));
    });
    let image = Erofs::open(Image(bytes)).expect("an image");
    let root = image.inode(image.root()).expect("the root");
    let (nid, _) = image.lookup(&root, b"f").expect("read").expect("there");
    let inode = image.inode(nid).expect("an inode");
    let mut seen = Vec::new();
    image
        .xattrs(&inode, |name, value| {
            seen.push((name.to_vec(), value.to_vec()));
            Ok(())
        })
        .expect("attributes");
    assert_eq!(seen, [(b"user.a".to_vec(), b"value".to_vec())]);
    let _ = fs::remove_dir_all(dir);
}

#[test]
fn damaged_images_end_in_errors() {
    let (dir, bytes) = make("damage", sample);
    let mut state = 1u64;
    for _ in 0..300 {
        let mut bytes = bytes.clone();
        for _ in 0..20 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let at = usize_of(state >> 33) % bytes.len().min(80_000);
            bytes[at] = (state >> 20) as u8;
        }
        let Ok(image) = Erofs::open(Image(bytes)) else {
            continue;
        };
        for nid in 0..300 {
            let Ok(inode) = image.inode(nid) else {
                continue;
            };
            let _ = image.xattrs(&inode, |_, _| Ok(()));
            let _ = image.for_each(&inode, |_| Ok(()));
            let _ = image.lookup(&inode, b"file-77");
        }
    }
    for cut in [0, 1000, 1100, 5000] {
        let mut short = bytes.clone();
        short.truncate(cut);
        assert!(Erofs::open(Image(short)).is_err());
    }
    let _ = fs::remove_dir_all(dir);
}
