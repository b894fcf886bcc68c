//! Recipes for root filesystems: a few words per line, told in `images/busybox/recipe` itself.

use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::tree::{Content, Node, S_IFDIR, S_IFLNK, S_IFREG, Tree};

/// A recipe, read and its ingredients found, but nothing run yet.
pub struct Recipe {
    dir: PathBuf,
    text: String,
}

impl Recipe {
    /// Reads the recipe in the directory `dir`.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("recipe");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Self {
            dir: dir.to_owned(),
            text,
        })
    }

    /// Takes in the recipe and the state of every file it copies.
    ///
    /// # Errors
    /// The first that isn't there.
    pub fn hash(&self, key: &mut impl Hasher) -> Result<()> {
        self.text.hash(key);
        for line in self.lines() {
            if let ["copy", _, _, source] = line.as_slice() {
                let path = self.source(source)?;
                let meta = fs::metadata(&path).with_context(|| path.display().to_string())?;
                path.as_os_str().as_bytes().hash(key);
                [meta.ino(), meta.size()].hash(key);
                [
                    meta.mtime(),
                    meta.mtime_nsec(),
                    meta.ctime(),
                    meta.ctime_nsec(),
                ]
                .hash(key);
            }
        }
        Ok(())
    }

    /// Makes the tree.
    ///
    /// # Errors
    /// The first line that can't be followed, and why.
    pub fn cook(&self) -> Result<Tree> {
        let mut tree = Tree::default();
        for line in self.lines() {
            self.follow(&line, &mut tree)
                .with_context(|| format!("{}/recipe: {}", self.dir.display(), line.join(" ")))?;
        }
        Ok(tree)
    }

    fn lines(&self) -> impl Iterator<Item = Vec<&str>> {
        self.text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|words| words.first().is_some_and(|word| !word.starts_with('#')))
    }

    fn follow(&self, line: &[&str], tree: &mut Tree) -> Result<()> {
        match line {
            ["dir", mode, path] => {
                let node = Node::new(S_IFDIR | octal(mode)?, Content::Dir(Default::default()));
                place(tree, path, node)
            }
            ["copy", mode, path, source] => {
                let source = self.source(source)?;
                let meta = fs::metadata(&source)?;
                let content = Content::File {
                    size: meta.len(),
                    path: source,
                };
                place(tree, path, Node::new(S_IFREG | octal(mode)?, content))
            }
            ["link", path, target] => place(tree, path, symlink(target)),
            ["applets", path] => applets(tree, path),
            _ => bail!("not a line of a recipe"),
        }
    }

    /// The host's file for a SOURCE.
    fn source(&self, source: &str) -> Result<PathBuf> {
        match source.strip_prefix("program:") {
            Some(name) => program(name),
            None => Ok(self.dir.join(source)),
        }
    }
}

fn octal(mode: &str) -> Result<u32> {
    u32::from_str_radix(mode, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| anyhow!("'{mode}' isn't a mode"))
}

fn symlink(target: &str) -> Node {
    Node::new(S_IFLNK | 0o777, Content::Symlink(target.into()))
}

fn place(tree: &mut Tree, path: &str, node: Node) -> Result<()> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = tree
        .find(parent.as_bytes())
        .ok_or_else(|| anyhow!("{path} has no directory"))?;
    tree.add(parent, name.as_bytes(), node)?;
    Ok(())
}

/// Links to the multi-call binary `path`, where it wants them and nothing is yet.
fn applets(tree: &mut Tree, path: &str) -> Result<()> {
    let index = tree.find(path.as_bytes());
    let node = index.and_then(|index| tree.nodes().get(index));
    let Some(Content::File { path: host, .. }) = node.map(|node| &node.content) else {
        bail!("{path} isn't a file");
    };
    must_be_static(host)?;
    let output = Command::new(host).arg("--list-full").output()?;
    let list = String::from_utf8(output.stdout)?;
    for applet in list.lines().map(|name| format!("/{name}")) {
        if tree.find(applet.as_bytes()).is_none() {
            place(tree, &applet, symlink(path))?;
        }
    }
    Ok(())
}

/// A program that wants an interpreter wouldn't run in a root without one.
fn must_be_static(host: &Path) -> Result<()> {
    // p_type of the interpreter's program header (System V ABI, chapter 5).
    const PT_INTERP: u32 = 3;
    let bytes = fs::read(host).with_context(|| host.display().to_string())?;
    let half = |at: usize| {
        bytes
            .get(at..at + 2)
            .map(|b| b.iter().rev().fold(0, |a, b| a << 8 | usize::from(*b)))
    };
    let (Some(size), Some(count)) = (half(54), half(56)) else {
        bail!("{} isn't an ELF file", host.display());
    };
    let headers = bytes
        .get(64..)
        .unwrap_or_default()
        .chunks(size.max(4))
        .take(count);
    for header in headers {
        if header.starts_with(&PT_INTERP.to_le_bytes()) {
            bail!(
                "{} isn't static; the package busybox-static has one that is",
                host.display()
            );
        }
    }
    Ok(())
}

/// Where the caller's PATH has `name`; the system's own directories come after it.
///
/// # Errors
/// When it is in none of them.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| anyhow!("there is no program '{name}' on this machine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(text: &str) -> Recipe {
        Recipe {
            dir: PathBuf::from("/nowhere"),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_built_in_root_has_what_jobs_expect() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/busybox");
        let tree = Recipe::read(&dir).unwrap().cook().unwrap();
        for path in [
            "/bin/sh",
            "/usr/bin/sort",
            "/bin/busybox",
            "/etc/passwd",
            "/proc",
        ] {
            assert!(tree.find(path.as_bytes()).is_some(), "{path}");
        }
        let tmp = tree.find(b"/tmp").unwrap();
        assert_eq!(tree.nodes()[tmp].mode, S_IFDIR | 0o1777);
    }

    #[test]
    fn bad_lines_are_named() {
        for text in [
            "dir 0755",
            "dir 9 /a",
            "dir 0755 /a/b",
            "link /a b\nlink /a c",
            "x",
        ] {
            let error = recipe(text).cook().unwrap_err();
            assert!(
                format!("{error:#}").contains(text.lines().last().unwrap()),
                "{error:#}"
            );
        }
    }
}
