//! Writes the pages that are made from code: `docs/syscalls.md`.

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/syscalls.md");
    std::fs::write(path, kiln_harness::syscalls::page()).context(path)
}
