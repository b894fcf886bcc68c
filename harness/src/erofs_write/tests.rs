//! Images against fsck.erofs and the reader in `kiln-core`.

use super::*;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::unnamed;

/// A directory that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kiln-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn image(tree: &Tree, path: &Path) {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .unwrap();
    write(tree, &mut file).unwrap();
}

/// erofs-utils' own checker is satisfied, and extracts the image to `to`.
fn fsck(image: &Path, to: &Path) {
    let output = Command::new("fsck.erofs")
        .arg(format!("--extract={}", to.display()))
        .arg("--preserve-perms")
        .arg(image)
        .output()
        .expect("fsck.erofs (package erofs-utils) is needed");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !text.contains("rror"), "{text}");
}

fn scanned(dir: &Path) -> Tree {
    Tree::scan(dir, &mut DefaultHasher::new()).unwrap()
}

/// Everything that fsck.erofs extracts of a tree (it makes files of their own of hard links):
/// path, mode, content.
fn listing(tree: &Tree) -> Vec<(Vec<u8>, u32, Vec<u8>)> {
    let mut all = Vec::new();
    let mut todo = vec![(Vec::new(), 0)];
    while let Some((path, index)) = todo.pop() {
        let node = &tree.nodes()[index];
        let content = match &node.content {
            Content::Dir(names) => {
                for (name, child) in names {
                    todo.push(([path.as_slice(), b"/", name].concat(), *child));
                }
                Vec::new()
            }
            Content::File { path, .. } => fs::read(path).unwrap(),
            Content::Piece(piece) => {
                let mut bytes = Vec::new();
                piece.reader().read_to_end(&mut bytes).unwrap();
                bytes
            }
            Content::Bytes(bytes) | Content::Symlink(bytes) => bytes.clone(),
            Content::Special(device) => device.to_le_bytes().to_vec(),
        };
        all.push((path, node.mode, content));
    }
    all.sort();
    all
}

#[test]
fn a_tree_comes_back_whole() {
    let scratch = Scratch::new("erofs");
    let dir = scratch.0.join("in");
    fs::create_dir_all(dir.join("deep/er")).unwrap();
    for size in [0, 1, 2047, 4095, 4096, 4097, 100_000] {
        let bytes: Vec<u8> = (0..size).map(|at| (at * 7 % 251) as u8).collect();
        fs::write(dir.join(format!("file{size}")), bytes).unwrap();
    }
    for number in 0..3000 {
        fs::write(
            dir.join(format!("deep/entry with a longer name {number}")),
            "x",
        )
        .unwrap();
    }
    fs::write(dir.join("-before.dot\nodd \u{e9}"), "odd").unwrap();
    fs::write(dir.join("n".repeat(255)), "long").unwrap();
    fs::hard_link(dir.join("file1"), dir.join("deep/er/same")).unwrap();
    symlink("t".repeat(4000), dir.join("far")).unwrap();
    symlink("file1", dir.join("near")).unwrap();
    fs::set_permissions(dir.join("file1"), fs::Permissions::from_mode(0o1751)).unwrap();
    let path = scratch.0.join("image");
    let tree = scanned(&dir);
    image(&tree, &path);
    fsck(&path, &scratch.0.join("out"));
    let (found, wanted) = (listing(&scanned(&scratch.0.join("out"))), listing(&tree));
    for (found, wanted) in found.iter().zip(&wanted) {
        let name = String::from_utf8_lossy(&wanted.0);
        assert!(
            found == wanted,
            "{name}: mode {:o}, not {:o}",
            found.1,
            wanted.1
        );
    }
    assert_eq!(found.len(), wanted.len());
}

#[test]
fn file_data_lies_in_whole_blocks() {
    let mut tree = Tree::default();
    for (name, fill) in [(b"a", 0xAA), (b"b", 0xBB)] {
        let node = Node::new(S_IFREG | 0o644, Content::Bytes(vec![fill; 5000]));
        tree.add(0, name, node).unwrap();
    }
    let mut file = unnamed(&std::env::temp_dir()).unwrap();
    write(&tree, &mut file).unwrap();
    let mut bytes = Vec::new();
    io::Seek::rewind(&mut file).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 5 * 4096);
    for (block, fill) in [(1, 0xAA), (3, 0xBB)] {
        let data = &bytes[block * 4096..][..8192];
        assert!(data[..5000].iter().all(|byte| *byte == fill));
        assert!(data[5000..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn the_same_tree_gives_the_same_image() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    let images = [(); 2].map(|()| {
        let mut file = unnamed(&std::env::temp_dir()).unwrap();
        write(&scanned(&dir), &mut file).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    });
    assert!(images[0] == images[1]);
}
