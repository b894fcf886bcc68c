//! Prints where the image is that `run.sh` boots from: the built-in root's, or that of a PATH as in `--root PATH`.

use std::path::PathBuf;

use kiln_harness::root;

fn main() -> anyhow::Result<()> {
    let path = std::env::args_os().nth(1).map(PathBuf::from);
    let root = root::find(path.as_deref(), u64::MAX)?;
    println!("{}", root.image.display());
    Ok(())
}
