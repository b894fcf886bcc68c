//! Archives made on the spot: what they become, and what is refused.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::*;
use crate::tree::{Content, Node, S_IFMT, S_IFREG};

const LIMIT: u64 = 4 << 20;

/// A tar's entries: kind, name, and bytes or a link's target.
type Entries<'a> = &'a [(EntryType, &'a str, &'a str)];
const FILE: EntryType = EntryType::Regular;
const DIR: EntryType = EntryType::Directory;
const SYMLINK: EntryType = EntryType::Symlink;
const LINK: EntryType = EntryType::Link;

fn tar(entries: Entries<'_>) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_000_000_000);
        // As bytes: the crate refuses the names that are to be refused here.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        if matches!(*kind, SYMLINK | LINK) {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, std::io::empty()).unwrap();
        } else {
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn with_file<T>(bytes: &[u8], then: impl FnOnce(&Path) -> T) -> T {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    then(file.path())
}

fn opened(bytes: &[u8]) -> Result<Root> {
    with_file(bytes, |path| open(path, LIMIT))
}

fn tree_of(entries: Entries<'_>) -> Tree {
    opened(&tar(entries)).unwrap().tree
}

fn node<'a>(tree: &'a Tree, path: &str) -> Option<&'a Node> {
    tree.nodes().get(tree.find(path.as_bytes())?)
}

fn text(tree: &Tree, path: &str) -> Option<String> {
    match &node(tree, path)?.content {
        Content::Piece(piece) => {
            let mut text = String::new();
            piece.reader().read_to_string(&mut text).unwrap();
            Some(text)
        }
        Content::Symlink(target) => Some(format!("-> {}", String::from_utf8_lossy(target))),
        _ => None,
    }
}

fn error(result: Result<Root>) -> String {
    let error = format!("{:#}", result.err().expect("it was taken"));
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn a_tar_becomes_a_tree() {
    let tree = tree_of(&[
        (DIR, "./", ""),
        (DIR, "./d/", ""),
        (FILE, "./d/f", "content"),
        (SYMLINK, "d/s", "../x"),
        (LINK, "h", "./d/f"),
        (FILE, "made/on/the/way", ""),
    ]);
    assert_eq!(text(&tree, "/d/f").unwrap(), "content");
    assert_eq!(text(&tree, "/d/s").unwrap(), "-> ../x");
    assert_eq!(tree.find(b"/h"), tree.find(b"/d/f"));
    let file = node(&tree, "/d/f").unwrap();
    assert_eq!(
        (file.mode, file.uid, file.gid, file.nlink),
        (S_IFREG | 0o644, 7, 8, 2)
    );
    assert_eq!(file.mtime.0, 1_000_000_000);
    assert_eq!(
        node(&tree, "/made/on").unwrap().mode & S_IFMT,
        crate::tree::S_IFDIR
    );
}

/// What the shell command makes of `input`.
fn piped(command: &str, input: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new("sh")
        .args(["-c", command])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
fn compressions_are_undone() {
    let plain = tar(&[(FILE, "f", "x")]);
    let filters = ["gzip -c", "zstd -qc", "xz -c"];
    for filter in filters {
        // In two parts: members and frames may follow each other.
        let (first, second) = plain.split_at(1000);
        let packed = [piped(filter, first), piped(filter, second)].concat();
        let tree = opened(&packed)
            .unwrap_or_else(|error| panic!("{filter}: {error:#}"))
            .tree;
        assert_eq!(text(&tree, "/f").unwrap(), "x", "{filter}");
        with_file(&packed, |path| {
            assert_eq!(kind(path).unwrap(), Some(Kind::Tar), "{filter}")
        });
        let cut = packed.get(..packed.len() / 2).unwrap();
        error(opened(cut));
    }
}

#[test]
fn links_on_the_way_stay_inside() {
    let tree = tree_of(&[
        (SYMLINK, "bin", "usr/bin"),
        (FILE, "bin/tool", "t"),
        (SYMLINK, "out", "../../../../etc"),
        (FILE, "out/passwd", "p"),
        (SYMLINK, "abs", "/usr"),
        (FILE, "abs/lib", "l"),
    ]);
    assert_eq!(text(&tree, "/usr/bin/tool").unwrap(), "t");
    assert_eq!(text(&tree, "/etc/passwd").unwrap(), "p");
    assert_eq!(text(&tree, "/usr/lib").unwrap(), "l");
    let ring = tar(&[(SYMLINK, "a", "b"), (SYMLINK, "b", "a"), (FILE, "a/f", "")]);
    assert!(error(opened(&ring)).contains("too many symbolic links"));
}

#[test]
fn what_climbs_out_is_refused() {
    for name in ["../x", "a/../../x", "/../x"] {
        let error = error(opened(&tar(&[(FILE, name, "x")])));
        assert!(error.contains("climbs out"), "{error}");
    }
    let error = error(opened(&tar(&[(LINK, "h", "../../etc/passwd")])));
    assert!(error.contains("climbs out"), "{error}");
}

#[test]
fn bombs_and_cuts_are_refused() {
    let big = "x".repeat(usize::try_from(LIMIT).unwrap() + 1);
    assert!(error(opened(&tar(&[(FILE, "f", &big)]))).contains("--memory"));
    let whole = tar(&[(FILE, "f", &"x".repeat(5000))]);
    error(opened(&whole[..2000]));
    error(opened(&whole[..700]));
}

fn digest(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An OCI layout in a directory.
struct Layout(tempfile::TempDir);

impl Layout {
    fn new(layers: &[Vec<u8>], config: Value) -> Self {
        let layout = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(layout.0.path().join("blobs/sha256")).unwrap();
        layout.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        let sums: Vec<_> = layers
            .iter()
            .map(|layer| format!("sha256:{}", digest(layer)))
            .collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": sums},
        });
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| layout.blob("layer.v1.tar", layer))
            .collect();
        let config = layout.blob("config.v1+json", config.to_string().as_bytes());
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string();
        let manifest = layout.blob("manifest.v1+json", manifest.as_bytes());
        let index = json!({"schemaVersion": 2, "manifests": [manifest]}).to_string();
        layout.file("index.json", index.as_bytes());
        layout
    }

    fn file(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.path().join(name), bytes).unwrap();
    }

    fn blob(&self, kind: &str, bytes: &[u8]) -> Value {
        let digits = digest(bytes);
        self.file(&format!("blobs/sha256/{digits}"), bytes);
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": format!("sha256:{digits}"), "size": bytes.len(),
        })
    }

    fn open(&self) -> Result<Root> {
        assert!(is_layout(self.0.path()));
        open(self.0.path(), LIMIT)
    }

    /// The same as an archive.
    fn archived(&self) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        builder.append_dir_all(".", self.0.path()).unwrap();
        builder.into_inner().unwrap()
    }

    fn largest_blob(&self) -> PathBuf {
        let blobs = fs::read_dir(self.0.path().join("blobs/sha256")).unwrap();
        let paths = blobs.map(|blob| blob.unwrap().path());
        paths
            .max_by_key(|path| fs::metadata(path).unwrap().len())
            .unwrap()
    }
}

#[test]
fn layers_lie_over_each_other() {
    let lower = tar(&[
        (FILE, "gone", "1"),
        (FILE, "kept", "1"),
        (FILE, "changed", "1"),
        (FILE, "d/lower", "1"),
        (FILE, "d/both", "1"),
        (FILE, "e/lower", "1"),
        (SYMLINK, "bin", "usr/bin"),
    ]);
    let upper = tar(&[
        (FILE, ".wh.gone", ""),
        (FILE, "changed", "2"),
        (FILE, "d/both", "2"),
        (FILE, "d/.wh..wh..opq", ""),
        (FILE, ".wh.e", ""),
        (FILE, "e/upper", "2"),
        (FILE, "bin/x", "2"),
        (FILE, ".wh..wh.plnk/1", ""),
    ]);
    let config = json!({
        "Env": ["PATH=/x", "A=b"], "Cmd": ["c"], "Entrypoint": ["/e", "1"], "WorkingDir": "/d", "User": "9",
    });
    let layout = Layout::new(&[lower, upper], config);
    for root in [layout.open().unwrap(), opened(&layout.archived()).unwrap()] {
        let tree = &root.tree;
        assert!(tree.find(b"/gone").is_none());
        assert_eq!(text(tree, "/kept").unwrap(), "1");
        assert_eq!(text(tree, "/changed").unwrap(), "2");
        assert!(tree.find(b"/d/lower").is_none() && tree.find(b"/e/lower").is_none());
        assert_eq!(text(tree, "/d/both").unwrap(), "2");
        assert_eq!(text(tree, "/e/upper").unwrap(), "2");
        assert_eq!(text(tree, "/usr/bin/x").unwrap(), "2");
        assert!(
            tree.nodes().iter().all(|node| node.nlink > 0),
            "a node without a name"
        );
        assert_eq!(root.defaults.args, ["/e", "1", "c"]);
        assert_eq!(root.defaults.env, ["PATH=/x", "A=b"]);
        assert_eq!(
            (root.defaults.cwd.as_str(), root.defaults.user),
            ("/d", Some((9, 0)))
        );
    }
}

#[test]
fn users_are_looked_up_in_the_image() {
    let layer = tar(&[
        (
            FILE,
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nann:x:70:71::/home/ann:/bin/sh\n",
        ),
        (FILE, "etc/group", "root:x:0:\nstaff:x:50:ann\n"),
    ]);
    let user = |user: &str| Layout::new(std::slice::from_ref(&layer), json!({"User": user})).open();
    let ids = |name: &str| user(name).unwrap().defaults.user.unwrap();
    assert_eq!(ids("ann"), (70, 71));
    assert_eq!(ids("70"), (70, 71));
    assert_eq!(ids("ann:staff"), (70, 50));
    assert_eq!(ids("5:6"), (5, 6));
    assert_eq!(user("ann").unwrap().defaults.home.unwrap(), "/home/ann");
    assert!(error(user("bob")).contains("bob"));
}

#[test]
fn damaged_images_are_refused() {
    let layer = tar(&[(FILE, "f", &"x".repeat(9000))]);
    let damage = |how: fn(&mut Vec<u8>)| {
        let layout = Layout::new(std::slice::from_ref(&layer), json!({}));
        let path = layout.largest_blob();
        let mut bytes = fs::read(&path).unwrap();
        how(&mut bytes);
        fs::write(path, bytes).unwrap();
        error(layout.open())
    };
    assert!(damage(|bytes| bytes[600] ^= 1).contains("digest"));
    damage(|bytes| bytes.truncate(5000));
    let layout = Layout::new(std::slice::from_ref(&layer), json!({}));
    fs::remove_file(layout.largest_blob()).unwrap();
    assert!(error(layout.open()).contains("lacks"));
}

#[test]
fn what_docker_saves_is_read() {
    let layer = tar(&[(FILE, "f", "saved")]);
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
        "rootfs": {"diff_ids": [format!("sha256:{}", digest(&layer))]},
    })
    .to_string();
    let name = format!("{}.json", digest(config.as_bytes()));
    let manifest =
        json!([{"Config": name, "RepoTags": ["a:b"], "Layers": ["1/layer.tar"]}]).to_string();
    let layer = String::from_utf8(layer).unwrap();
    let archive = |config: &str| {
        tar(&[
            (FILE, &name, config),
            (FILE, "0/layer.tar", &layer),
            (SYMLINK, "1/layer.tar", "../0/layer.tar"),
            (FILE, "manifest.json", &manifest),
        ])
    };
    let root = opened(&archive(&config)).unwrap();
    assert_eq!(text(&root.tree, "/f").unwrap(), "saved");
    assert_eq!(root.defaults.args, ["sh"]);
    assert!(error(opened(&archive(&config.replace("sh", "zz")))).contains("digest"));
    assert!(error(opened(&archive("{"))).contains("digest"));
}

#[test]
fn another_machines_image_is_refused() {
    let layout = Layout::new(&[], json!({}));
    let index = fs::read_to_string(layout.0.path().join("index.json")).unwrap();
    let mut index: Value = serde_json::from_str(&index).unwrap();
    index["manifests"][0]["platform"] = json!({"os": "linux", "architecture": "arm64"});
    layout.file("index.json", index.to_string().as_bytes());
    assert!(error(layout.open()).contains("linux/amd64"));
}
