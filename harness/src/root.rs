//! The root image that QEMU loads beside the kernel.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The project's directory: where `run.sh` says it is, else where this was built.
#[must_use]
pub fn project() -> PathBuf {
    std::env::var_os("KILN_HOME").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        PathBuf::from,
    )
}

/// The image for `--root`, made if need be.
///
/// # Errors
/// One line that says what is wrong with it.
pub fn image(root: Option<&Path>) -> Result<Option<PathBuf>> {
    match root {
        None => Ok(None),
        Some(path) if path.is_file() => Ok(Some(path.to_owned())),
        Some(path) => bail!("--root {}: directories can't be packed yet", path.display()),
    }
}
