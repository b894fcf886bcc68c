//! The bench behind `harness/bench.sh`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use kiln_harness::bench::{boot, counts, jobs, micro, plot, scale};
use kiln_harness::{cache, root};
use serde_json::{Map, Value};

/// Runs Kiln and Linux side by side in the same QEMU and compares them.
#[derive(Parser)]
#[command(name = "bench.sh", version)]
struct Options {
    /// What to measure.
    #[arg(value_enum, default_value = "boot")]
    what: What,
    /// Only measures or jobs whose names contain one of these words.
    names: Vec<String>,
    /// Kiln's ELF, when it isn't the one of this checkout.
    #[arg(long, value_name = "ELF")]
    kernel: Option<PathBuf>,
    /// The jobs' root (target/images/debian.ext4).
    #[arg(long, value_name = "IMAGE")]
    root: Option<PathBuf>,
    /// Passes with the host's clock (11 for boot, 3 for the others).
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// The Linux to compare with.
    #[arg(long, value_enum, default_value = "cloud")]
    peer: micro::Peer,
    /// Keep the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the ratios of micro or jobs; for `all`, those of jobs go to NAME-jobs.svg beside it.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum What {
    /// From exec of QEMU to its exit.
    Boot,
    /// Single operations.
    Micro,
    /// Whole runs.
    Jobs,
    /// Single operations among many, and the boot with much memory.
    Scale,
    /// All of these.
    All,
    /// Kiln's counts in the form of harness/baseline.json.
    Counts,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if options.what == What::Counts {
        let counted = counts::count(
            &boot_inputs(&options)?,
            &micro_inputs(&options, &counts::MEASURES)?,
        )?;
        println!("{}", serde_json::to_string_pretty(&counted)?);
        return Ok(());
    }
    let wants = |what| options.what == what || options.what == What::All;
    let mut figures = Map::new();
    if wants(What::Boot) {
        figures.insert("boot".to_owned(), boot::run(&boot_inputs(&options)?)?);
    }
    if wants(What::Micro) {
        let words: Vec<&str> = options.names.iter().map(String::as_str).collect();
        let (found, ratios) = micro::run(&micro_inputs(&options, &words)?)?;
        figures.insert("micro".to_owned(), found);
        draw(&options, "", &ratios, "guest instructions an operation")?;
    }
    if wants(What::Jobs) {
        let (found, ratios) = jobs::run(&jobs_inputs(&options))?;
        figures.insert("jobs".to_owned(), found);
        let suffix = if options.what == What::All {
            "-jobs"
        } else {
            ""
        };
        draw(
            &options,
            suffix,
            &ratios,
            "guest instructions in the kernel, boot included",
        )?;
    }
    if wants(What::Scale) {
        let words = ["scale"]
            .into_iter()
            .chain(options.names.iter().map(String::as_str));
        let words: Vec<&str> = words.collect();
        let found = scale::run(&micro_inputs(&options, &words)?, &boot_inputs(&options)?)?;
        figures.insert("scale".to_owned(), found);
    }
    if let Some(file) = &options.json {
        std::fs::write(file, Value::Object(figures).to_string())
            .with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn target() -> PathBuf {
    root::project().join("target")
}

fn kernel(options: &Options) -> PathBuf {
    let built = || target().join("x86_64-unknown-none/release/kiln");
    options.kernel.clone().unwrap_or_else(built)
}

fn plugin() -> PathBuf {
    target().join("release/libkiln_count.so")
}

fn boot_inputs(options: &Options) -> Result<boot::Inputs> {
    Ok(boot::Inputs {
        kernel: kernel(options),
        root: root::image()?,
        busybox: PathBuf::from("/bin/busybox"),
        plugin: plugin(),
        cache: cache::directory()?,
        peer: options.peer,
        rounds: options.rounds.unwrap_or(11),
    })
}

fn micro_inputs(options: &Options, words: &[&str]) -> Result<micro::Inputs> {
    Ok(micro::Inputs {
        kernel: kernel(options),
        program: target().join("x86_64-unknown-linux-gnu/release/behave"),
        plugin: plugin(),
        cache: cache::directory()?,
        peer: options.peer,
        rounds: options.rounds.unwrap_or(3),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
    })
}

fn jobs_inputs(options: &Options) -> jobs::Inputs {
    let root = || target().join("images/debian.ext4");
    jobs::Inputs {
        kernel: kernel(options),
        programs: target().join("release"),
        plugin: plugin(),
        root: options.root.clone().unwrap_or_else(root),
        peer: options.peer,
        rounds: options.rounds.unwrap_or(3),
        names: options.names.clone(),
    }
}

/// The picture, where one is wanted.
fn draw(options: &Options, suffix: &str, ratios: &[(String, f64)], what: &str) -> Result<()> {
    let Some(file) = &options.svg else {
        return Ok(());
    };
    let peer = match options.peer {
        micro::Peer::Cloud => "Debian's cloud kernel",
        micro::Peer::Minimal => "the minimal Linux",
    };
    let title = format!("{what}: Kiln for one of {peer}");
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let file = file
        .parent()
        .unwrap_or(Path::new(""))
        .join(format!("{stem}{suffix}.svg"));
    std::fs::write(&file, plot::ratios(ratios, &title)).with_context(|| file.display().to_string())
}
