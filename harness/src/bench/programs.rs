//! What `bench.sh micro` runs: the measuring program, and a small one that it executes.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Both, by their paths in the root: `program`, and one made in `scratch` as the C compiler links it when left alone:
/// static, at an address of its own.
pub(super) fn read(program: &Path, scratch: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let (source, small) = (scratch.join("small.c"), scratch.join("small"));
    std::fs::write(&source, "int main(void) { return 0; }\n")?;
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-static", "-no-pie", "-s", "-o"]);
    let made = compiler.arg(&small).arg(&source).status().context("cc")?;
    ensure!(made.success(), "cc: {made}");
    let read = |(name, path): (&str, &Path)| {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        Ok((name.to_owned(), bytes))
    };
    [("bin/behave", program), ("bin/small", &small)]
        .into_iter()
        .map(read)
        .collect()
}

/// Writes a program where it can be executed.
pub(super) fn install(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| path.display().to_string())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
