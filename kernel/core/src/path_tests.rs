//! The walk compared with the host's own: the same tree, the same paths, the same answers.

use super::*;
use proptest::prelude::*;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::string::String;

/// The host's tree below a directory, walked one component at a time.
struct HostTree(PathBuf);

impl Tree for HostTree {
    type Node = PathBuf;

    fn root(&self) -> Result<PathBuf, Errno> {
        Ok(PathBuf::from("/"))
    }

    fn parent(&self, dir: &PathBuf) -> Result<PathBuf, Errno> {
        let dir = fs::canonicalize(dir).expect("a directory the walk reached");
        Ok(dir.parent().unwrap_or(&dir).to_path_buf())
    }

    fn may_search(&self, _: &PathBuf) -> Result<(), Errno> {
        Ok(())
    }

    fn lookup(&self, dir: &PathBuf, name: &[u8]) -> Result<Option<PathBuf>, Errno> {
        let path = dir.join(OsStr::from_bytes(name));
        Ok(fs::symlink_metadata(&path).is_ok().then_some(path))
    }

    fn shape(&self, node: &PathBuf) -> Shape {
        let kind = fs::symlink_metadata(node).expect("exists").file_type();
        if kind.is_dir() {
            Shape::Directory
        } else if kind.is_symlink() {
            Shape::Symlink
        } else {
            Shape::Other
        }
    }

    fn follow(&self, node: &PathBuf, _: bool) -> Result<Link<PathBuf>, Errno> {
        let text = fs::read_link(node).expect("a link");
        Ok(Link::Text(text.into_os_string().into_vec()))
    }
}

fn build(root: &Path) {
    let _ = fs::remove_dir_all(root);
    fs::create_dir_all(root.join("a/b/c")).expect("create");
    fs::write(root.join("a/file"), b"x").expect("create");
    fs::write(root.join("a/b/file"), b"y").expect("create");
    for (name, target) in [
        ("a/up", ".."),
        ("a/tofile", "file"),
        ("a/tofiles", "file/"),
        ("tob", "a/b"),
        ("tobs", "a/b//"),
        ("loop", "loop"),
        ("loopa", "loopb"),
        ("loopb", "a/../loopa"),
        ("dangling", "no/such"),
        ("slash", "/"),
        ("a/b/abs", &root.join("a").to_string_lossy()),
        ("chain0", "a/up"),
    ] {
        symlink(target, root.join(name)).expect("symlink");
    }
    for i in 1..45 {
        let target = std::format!("chain{}", i - 1);
        symlink(target, root.join(std::format!("chain{i}"))).expect("symlink");
    }
}

/// What the host answers: inode number or error number.
fn host(root: &Path, path: &str, follow: bool) -> Result<u64, i32> {
    // `Path::join` would normalise nothing, but `stat("")` must stay empty.
    let full = if path.is_empty() || path.starts_with('/') {
        PathBuf::from(path)
    } else {
        let mut full = std::ffi::OsString::from(root);
        full.push("/");
        full.push(path);
        PathBuf::from(full)
    };
    let found = if follow {
        fs::metadata(&full)
    } else {
        fs::symlink_metadata(&full)
    };
    found
        .map(|meta| meta.ino())
        .map_err(|error| error.raw_os_error().unwrap_or(0))
}

fn ours(root: &Path, path: &str, follow: bool) -> Result<u64, i32> {
    let tree = HostTree(root.to_path_buf());
    Walker::new(&tree, || Ok(tree.0.clone()), path.as_bytes())
        .and_then(|walker| walker.resolve(follow))
        .map(|node| fs::symlink_metadata(node).expect("exists").ino())
        .map_err(|error| i32::from(error.number()))
}

#[test]
fn walks_as_the_host_does() {
    let root = std::env::temp_dir().join("kiln-path-walk");
    build(&root);
    let part = prop::sample::select(std::vec![
        "a", "b", "c", "file", "up", "tofile", "tofiles", "tob", "tobs", "loop", "loopa", "loopb",
        "dangling", "slash", "abs", "chain0", "chain38", "chain39", "chain40", "none", ".", "..",
    ]);
    let slashes = prop::sample::select(std::vec!["/", "/", "/", "//", "///"]);
    let end = prop::sample::select(std::vec!["", "", "/", "//", "/."]);
    let path = (prop::collection::vec((part, slashes), 1..6), end);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&(path, any::<bool>()), |((parts, end), follow)| {
            let mut path = String::new();
            for (i, (part, slash)) in parts.iter().enumerate() {
                if i > 0 {
                    path.push_str(slash);
                }
                path.push_str(part);
            }
            path.push_str(end);
            prop_assert_eq!(
                ours(&root, &path, follow),
                host(&root, &path, follow),
                "{}",
                path
            );
            Ok(())
        })
        .expect("every walk as the host's");
    let _ = fs::remove_dir_all(&root);
}

#[test]
fn limits() {
    let root = std::env::temp_dir().join("kiln-path-limits");
    build(&root);
    let long = "x".repeat(256);
    assert_eq!(ours(&root, &long, true), host(&root, &long, true));
    assert_eq!(ours(&root, &long, true), Err(36));
    assert_eq!(ours(&root, "", true), Err(2));
    let longest = "/".repeat(PATH_MAX - 1);
    assert_eq!(ours(&root, &longest, true), host(&root, &longest, true));
    let longer = "/".repeat(PATH_MAX);
    assert_eq!(ours(&root, &longer, true), Err(36));
    let _ = fs::remove_dir_all(&root);
}

#[test]
fn stops_at_the_last_component() {
    let tree = HostTree(PathBuf::from("/"));
    let mut walker =
        Walker::new(&tree, || Ok(PathBuf::from("/")), b"//tmp/../new//").expect("a path");
    assert_eq!(walker.to_last(), Ok(Last::Name));
    assert_eq!(walker.name(), b"new");
    assert!(walker.trailing_slash());
    let mut walker = Walker::new(&tree, || Ok(PathBuf::from("/")), b"/tmp/..").expect("a path");
    assert_eq!(walker.to_last(), Ok(Last::DotDot));
    assert!(!walker.trailing_slash());
}

#[test]
fn the_first_nul_is_found() {
    for length in 0..40 {
        let mut bytes = alloc::vec![0x80; length];
        assert_eq!(nul_at(&bytes), None);
        for at in (0..length).rev() {
            bytes[at] = 0;
            assert_eq!(nul_at(&bytes), Some(at));
            // What comes behind it doesn't matter, nor what looks like a borrow.
            if at + 1 < length {
                bytes[at + 1] = 1;
            }
            assert_eq!(nul_at(&bytes), Some(at));
        }
    }
}
