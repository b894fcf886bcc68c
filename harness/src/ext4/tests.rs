//! Images made by mke2fs, delivered and compared.

use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

fn make(tree: &Path, image: &Path, size: &str) {
    let output = Command::new("/usr/sbin/mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-d"])
        .args([tree, image])
        .arg(size)
        .output()
        .expect("mke2fs is needed for this test: install e2fsprogs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn same(tree: &Path, out: &Path) {
    let output = Command::new("diff")
        .args(["-r", "--no-dereference"])
        .args([tree, out])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// A temporary directory with `tree` and `out` in it.
fn area() -> tempfile::TempDir {
    let area = tempfile::tempdir().unwrap();
    fs::create_dir(area.path().join("tree")).unwrap();
    area
}

#[test]
fn a_tree_arrives_as_it_was() {
    let area = area();
    let [tree, image, out] = ["tree", "image", "out"].map(|name| area.path().join(name));
    fs::create_dir_all(tree.join("a/b/c")).unwrap();
    fs::write(tree.join("a/file"), "text").unwrap();
    fs::write(tree.join("a/b/new\nline \u{e4}"), vec![7; 100_000]).unwrap();
    fs::write(tree.join("x".repeat(255)), "").unwrap();
    fs::hard_link(tree.join("a/file"), tree.join("a/b/c/again")).unwrap();
    symlink("/etc/passwd", tree.join("a/link")).unwrap();
    let sparse = File::create(tree.join("sparse")).unwrap();
    sparse.write_all_at(b"end", 50_000_000).unwrap();
    fs::set_permissions(tree.join("a/file"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(tree.join("a/b"), fs::Permissions::from_mode(0o555)).unwrap();
    for n in 0..500 {
        fs::write(tree.join(format!("a/b/c/{n}")), format!("{n}")).unwrap();
    }
    make(&tree, &image, "64M");
    let summary = deliver(&image, &out).unwrap();
    same(&tree, &out);
    assert_eq!(
        (summary.hard_links, summary.symlinks, summary.skipped),
        (1, 1, 0)
    );
    let [was, is] = [&tree, &out].map(|base| fs::metadata(base.join("a/file")).unwrap());
    assert_eq!(
        (is.mode(), is.mtime(), is.nlink()),
        (was.mode(), was.mtime(), 2)
    );
    let [was, is] = [&tree, &out].map(|base| fs::metadata(base.join("a/b")).unwrap());
    assert_eq!((is.mode(), is.mtime()), (was.mode(), was.mtime()));
    assert!(fs::metadata(out.join("sparse")).unwrap().blocks() < 100);
    assert!(!out.join("lost+found").exists());
    // Once more over itself.
    assert_eq!(deliver(&image, &out).unwrap(), summary);
    same(&tree, &out);
}

#[test]
fn merges_and_replaces() {
    let area = area();
    let [tree, image, out] = ["tree", "image", "out"].map(|name| area.path().join(name));
    fs::create_dir_all(tree.join("dir")).unwrap();
    fs::write(tree.join("dir/both"), "new").unwrap();
    fs::write(tree.join("was a link"), "new").unwrap();
    make(&tree, &image, "16M");
    fs::create_dir_all(out.join("dir")).unwrap();
    fs::write(out.join("dir/both"), "old").unwrap();
    fs::write(out.join("dir/mine"), "kept").unwrap();
    fs::write(area.path().join("outside"), "untouched").unwrap();
    symlink("../outside", out.join("was a link")).unwrap();
    deliver(&image, &out).unwrap();
    assert_eq!(fs::read(out.join("dir/both")).unwrap(), b"new");
    assert_eq!(fs::read(out.join("dir/mine")).unwrap(), b"kept");
    assert_eq!(fs::read(out.join("was a link")).unwrap(), b"new");
    assert_eq!(fs::read(area.path().join("outside")).unwrap(), b"untouched");
}

#[test]
fn never_leaves_the_directory() {
    let area = area();
    let [tree, image, out] = ["tree", "image", "out"].map(|name| area.path().join(name));
    fs::create_dir_all(tree.join("escape")).unwrap();
    fs::write(tree.join("escape/file"), "bad").unwrap();
    fs::write(tree.join("other"), "good").unwrap();
    make(&tree, &image, "16M");
    let outside = area.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(&out).unwrap();
    symlink(&outside, out.join("escape")).unwrap();
    let error = format!("{:#}", deliver(&image, &out).unwrap_err());
    assert!(error.contains("escape"), "{error}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(fs::read(out.join("other")).unwrap(), b"good");
}

#[test]
fn refuses_names_that_are_paths() {
    let area = area();
    let [tree, image, out] = ["tree", "image", "out"].map(|name| area.path().join(name));
    fs::write(tree.join("zz_zz_evil"), "bad").unwrap();
    let output = Command::new("/usr/sbin/mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-O", "^metadata_csum", "-d"])
        .args([&tree, &image])
        .arg("16M")
        .output()
        .unwrap();
    assert!(output.status.success());
    let mut bytes = fs::read(&image).unwrap();
    let at = bytes.windows(10).position(|w| w == b"zz_zz_evil").unwrap();
    bytes[at..at + 10].copy_from_slice(b"../../evil");
    fs::write(&image, bytes).unwrap();
    let error = format!("{:#}", deliver(&image, &out).unwrap_err());
    assert!(error.contains("evil"), "{error}");
    assert!(!area.path().join("evil").exists());
}

#[test]
fn says_what_is_wrong_with_the_image() {
    let area = area();
    let image = area.path().join("image");
    fs::write(&image, vec![0; 1 << 20]).unwrap();
    let error = format!(
        "{:#}",
        deliver(&image, &area.path().join("out")).unwrap_err()
    );
    assert!(error.contains("not an ext2"), "{error}");
}
