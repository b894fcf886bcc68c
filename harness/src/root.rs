//! The root image that QEMU loads beside the kernel: the built-in one, a packed directory, an
//! unpacked archive (`archive`), or a cpio as it is.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::archive::{self, Defaults};
use crate::recipe::Recipe;
use crate::tree::Tree;
use crate::{cache, erofs_write, progress};

/// Goes into every key: raise it when the images change though their sources don't.
const FORMAT: u32 = 1;

/// The project's directory: where `run.sh` says it is, else where this was built.
#[must_use]
pub fn project() -> PathBuf {
    std::env::var_os("KILN_HOME").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        PathBuf::from,
    )
}

/// The kernel with tests of itself, which the one that is run doesn't carry.
#[must_use]
pub fn selftest_kernel() -> PathBuf {
    std::env::var_os("KILN_KERNEL").map_or_else(
        || project().join("target/dev/x86_64-unknown-none/release/kiln"),
        PathBuf::from,
    )
}

/// The kernel when no `--kernel` names one: the built one, or `KILN_KERNEL` for those who try out another.
#[must_use]
pub fn kernel() -> PathBuf {
    std::env::var_os("KILN_KERNEL").map_or_else(
        || project().join("target/x86_64-unknown-none/release/kiln"),
        PathBuf::from,
    )
}

/// What the kernel boots from.
pub struct Root {
    /// The image.
    pub image: PathBuf,
    /// It is an ext4 file system, which becomes a disk; otherwise QEMU loads it.
    pub on_disk: bool,
    /// What a container image says of the job.
    pub defaults: Defaults,
}

impl From<PathBuf> for Root {
    fn from(image: PathBuf) -> Self {
        Self {
            image,
            on_disk: false,
            defaults: Defaults::default(),
        }
    }
}

/// The image for `--root`, made if need be. An archive that needs more than `memory` bytes isn't
/// unpacked any further.
///
/// # Errors
/// One line that says what is wrong with it.
pub fn find(root: Option<&Path>, memory: u64) -> Result<Root> {
    let Some(path) = root else {
        return Ok(image()?.into());
    };
    let context = || format!("--root {}", path.display());
    if path.is_dir() && !archive::is_layout(path) {
        return Ok(packed(path).context("--root")?.into());
    }
    if path.is_dir() {
        return unpacked(path, memory).with_context(context);
    }
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(4096).read_to_end(&mut head))
        .with_context(context)?;
    match archive::kind(path).with_context(context)? {
        Some(archive::Kind::Tar) => unpacked(path, memory).with_context(context),
        Some(archive::Kind::PackedCpio) if !is_gzip(&head) => {
            let name = name(&stamped(path)?, "root", "cpio");
            let image = cache::image(&name, |file| archive::plain_cpio(path, memory, file));
            Ok(image.with_context(context)?.into())
        }
        _ if is_ext4(&head) => Ok(Root {
            on_disk: true,
            ..path.to_owned().into()
        }),
        _ => {
            check_kind(&head).with_context(context)?;
            Ok(path.to_owned().into())
        }
    }
}

/// The built-in root's image.
///
/// # Errors
/// When an ingredient is missing.
pub fn image() -> Result<PathBuf> {
    built_in().context("the built-in root")
}

/// Refuses an image that leaves the kernel nothing of `memory`, both in bytes.
///
/// # Errors
/// One line that says how much would do.
pub fn check_size(image: &Path, memory: u64) -> Result<()> {
    const MIB: u64 = 1 << 20;
    /// What the kernel and the first program need.
    const LEAST: u64 = 6 * MIB;
    let len = std::fs::metadata(image)?.len();
    if len + LEAST > memory {
        let enough = (len + len / 4).div_ceil(MIB) + 64;
        bail!(
            "the root's image ({} MiB) lies in memory and doesn't fit into {} MiB; --memory {enough}M would do",
            len.div_ceil(MIB),
            memory / MIB
        );
    }
    Ok(())
}

/// Whether `image` is an EROFS file system, as all images made here are.
///
/// # Errors
/// Those of reading it.
pub fn is_erofs(image: &Path) -> Result<bool> {
    let mut head = Vec::new();
    File::open(image)?.take(4096).read_to_end(&mut head)?;
    Ok(has_erofs_magic(&head))
}

fn has_erofs_magic(head: &[u8]) -> bool {
    let magic = head.get(1024..1028);
    magic == Some(&0xE0F5_E1E2_u32.to_le_bytes())
}

/// Refuses what the kernel can't boot from.
fn check_kind(head: &[u8]) -> Result<()> {
    let at = |offset: usize, magic: &[u8]| {
        head.get(offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    };
    let cpio = at(0, b"070701") || at(0, b"070702");
    let gzip = is_gzip(head);
    if cpio || gzip || has_erofs_magic(head) {
        return Ok(());
    }
    bail!("it is neither a directory nor an ext4 image, a cpio, a tar or a container image");
}

fn is_ext4(head: &[u8]) -> bool {
    let magic = head.get(1024 + 0x38..1024 + 0x3A);
    magic == Some(&0xEF53_u16.to_le_bytes())
}

fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1F, 0x8B])
}

fn built_in() -> Result<PathBuf> {
    let recipe = Recipe::read(&project().join("images/busybox"))?;
    let mut key = key();
    recipe.hash(&mut key)?;
    cache::image(&name(&key, "busybox", "erofs"), |file| {
        erofs_write::write(&recipe.cook()?, file)
    })
}

fn packed(dir: &Path) -> Result<PathBuf> {
    let dir = dir
        .canonicalize()
        .with_context(|| dir.display().to_string())?;
    let mut key = key();
    dir.as_os_str().as_bytes().hash(&mut key);
    let tree = Tree::scan(&dir, &mut key)?;
    cache::image(&name(&key, "root", "erofs"), |file| pack(&tree, file))
}

fn pack(tree: &Tree, file: &mut File) -> Result<()> {
    progress::show("packing the root", tree.bytes(), || {
        erofs_write::write(tree, file)
    })
}

/// A tar's or a container image's root, and what the image says of the job.
fn unpacked(path: &Path, memory: u64) -> Result<Root> {
    let key = stamped(path)?;
    let mut defaults = None;
    let image = cache::image(&name(&key, "archive", "erofs"), |file| {
        let root = progress::show("unpacking the root", 0, || archive::open(path, memory))?;
        defaults = Some(root.defaults);
        pack(&root.tree, file)
    })?;
    let told = cache::image(&name(&key, "archive", "json"), |file| {
        let defaults = match defaults.take() {
            Some(defaults) => defaults,
            None => archive::open(path, memory)?.defaults,
        };
        Ok(serde_json::to_writer(file, &defaults)?)
    })?;
    let defaults = serde_json::from_slice(&std::fs::read(told)?)?;
    Ok(Root {
        image,
        on_disk: false,
        defaults,
    })
}

/// The key of an archive's present state; of a layout's that of its index, which names all else.
fn stamped(path: &Path) -> Result<DefaultHasher> {
    let path = path.canonicalize()?;
    let mut key = key();
    path.as_os_str().as_bytes().hash(&mut key);
    let index = path.join("index.json");
    let meta = std::fs::metadata(if path.is_dir() { &index } else { &path })?;
    [meta.dev(), meta.ino(), meta.size()].hash(&mut key);
    let times = [
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
    ];
    times.hash(&mut key);
    Ok(key)
}

fn key() -> DefaultHasher {
    let mut key = DefaultHasher::new();
    FORMAT.hash(&mut key);
    key
}

fn name(key: &DefaultHasher, kind: &str, format: &str) -> String {
    format!("{kind}-{:016x}.{format}", key.finish())
}
