//! The bench behind `harness/bench.sh`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use kiln_harness::bench::{boot, micro};
use kiln_harness::root;

/// Runs Kiln and Linux side by side in the same QEMU and compares them.
#[derive(Parser)]
#[command(name = "bench.sh", version)]
struct Options {
    /// What to measure.
    #[arg(value_enum, default_value = "boot")]
    what: What,
    /// Kiln's ELF, when it isn't the one of this checkout.
    #[arg(long, value_name = "ELF")]
    kernel: Option<PathBuf>,
    /// How often each guest is booted (11; micro with the host's clock: 3).
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// The Linux that micro compares with.
    #[arg(long, value_enum, default_value = "cloud")]
    peer: micro::Peer,
    /// Keep micro's figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw micro's ratios.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// From exec of QEMU to its exit.
    Boot,
    /// Single operations.
    Micro,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let target = root::project().join("target");
    let built = target.join("x86_64-unknown-none/release/kiln");
    match options.what {
        What::Boot => boot::run(&boot::Inputs {
            kernel: options.kernel.unwrap_or(built),
            root: root::image()?,
            busybox: PathBuf::from("/bin/busybox"),
            plugin: target.join("release/libkiln_count.so"),
            cache: cache()?,
            rounds: options.rounds.unwrap_or(11),
        }),
        What::Micro => micro::run(&micro::Inputs {
            kernel: options.kernel.unwrap_or(built),
            program: target.join("x86_64-unknown-linux-gnu/release/behave"),
            plugin: target.join("release/libkiln_count.so"),
            cache: cache()?,
            peer: options.peer,
            rounds: options.rounds.unwrap_or(3),
            json: options.json,
            svg: options.svg,
        }),
    }
}

/// Where fetched kernels are kept.
fn cache() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    Ok(base
        .or(home)
        .context("neither XDG_CACHE_HOME nor HOME is set")?
        .join("kiln"))
}
