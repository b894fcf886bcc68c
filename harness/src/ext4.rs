//! What a job left in an ext4 image, brought into a directory of the host without root's rights.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::{leash, recipe};

/// What was delivered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// One line for each thing that couldn't come along.
    pub warnings: Vec<String>,
}

/// Brings everything beneath the image's root into `dir`.
///
/// # Errors
/// The first path that can't be read or written.
pub fn deliver(image: &Path, dir: &Path) -> Result<Summary> {
    let dir = dir.canonicalize()?;
    let Some(dir) = dir.to_str().filter(|dir| !dir.contains('"')) else {
        bail!("the directory's name can't be told to debugfs");
    };
    let output = leash::command(recipe::program("debugfs")?)
        .args(["-R", &format!("rdump / \"{dir}\"")])
        .arg(image)
        .stdin(Stdio::null())
        .output()
        .context("debugfs")?;
    let said = String::from_utf8_lossy(&output.stderr);
    match said.lines().find(|line| !line.starts_with("debugfs ")) {
        Some(line) => bail!("debugfs: {line}"),
        None => Ok(Summary::default()),
    }
}
