//! The root image that QEMU loads beside the kernel: the built-in one, a packed directory, or a
//! cpio archive as it is.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::recipe::Recipe;
use crate::tree::Tree;
use crate::{cache, erofs_write};

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

/// The kernel when no `--kernel` names one: the built one, or `KILN_KERNEL` for those who try out another.
#[must_use]
pub fn kernel() -> PathBuf {
    std::env::var_os("KILN_KERNEL").map_or_else(
        || project().join("target/x86_64-unknown-none/release/kiln"),
        PathBuf::from,
    )
}

/// The image for `--root`, made if need be.
///
/// # Errors
/// One line that says what is wrong with it.
pub fn image(root: Option<&Path>) -> Result<PathBuf> {
    let Some(path) = root else {
        return built_in().context("the built-in root");
    };
    let context = || format!("--root {}", path.display());
    if path.is_dir() {
        return packed(path).context("--root");
    }
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(4096).read_to_end(&mut head))
        .with_context(context)?;
    check_kind(&head).with_context(context)?;
    Ok(path.to_owned())
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

/// Refuses what the kernel can't boot from.
fn check_kind(head: &[u8]) -> Result<()> {
    let at = |offset: usize, magic: &[u8]| {
        head.get(offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    };
    let cpio = at(0, b"070701") || at(0, b"070702");
    let gzip = at(0, &[0x1F, 0x8B]);
    let erofs = at(1024, &0xE0F5_E1E2_u32.to_le_bytes());
    if cpio || gzip || erofs {
        return Ok(());
    }
    if at(1024 + 0x38, &0xEF53_u16.to_le_bytes()) {
        bail!("ext4 roots come later; a directory or a .cpio[.gz] works");
    }
    if at(257, b"ustar") {
        bail!("container archives come later; a directory or a .cpio[.gz] works");
    }
    bail!("it is neither a directory nor a .cpio[.gz]");
}

fn built_in() -> Result<PathBuf> {
    let recipe = Recipe::read(&project().join("images/busybox"))?;
    let mut key = key();
    recipe.hash(&mut key)?;
    cache::image(&name(&key, "busybox"), |file| {
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
    cache::image(&name(&key, "root"), |file| erofs_write::write(&tree, file))
}

fn key() -> DefaultHasher {
    let mut key = DefaultHasher::new();
    FORMAT.hash(&mut key);
    key
}

fn name(key: &DefaultHasher, kind: &str) -> String {
    format!("{kind}-{:016x}.erofs", key.finish())
}
