//! The bench behind `harness/bench.sh`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use kiln_harness::bench::{boot, micro};
use kiln_harness::{cache, root};

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
            cache: cache::directory()?,
            rounds: options.rounds.unwrap_or(11),
        }),
        What::Micro => micro::run(&micro::Inputs {
            kernel: options.kernel.unwrap_or(built),
            program: target.join("x86_64-unknown-linux-gnu/release/behave"),
            plugin: target.join("release/libkiln_count.so"),
            cache: cache::directory()?,
            peer: options.peer,
            rounds: options.rounds.unwrap_or(3),
            json: options.json,
            svg: options.svg,
        }),
    }
}
