//! What Kiln's own counts must not exceed: `harness/baseline.json`, by more than 5 %.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::bench::counts::{self, Counted};
use crate::bench::{boot, micro};
use crate::testing::{Case, Counts, PASSED};
use crate::{cache, root};

pub(super) fn cases() -> Vec<Case> {
    vec![Case::counted(
        "counts::none_above_the_baseline",
        none_above_the_baseline,
    )]
}

fn none_above_the_baseline() -> Result<Counts> {
    let baseline = Counted::read(&root::project().join("harness/baseline.json"))?;
    let compiler = counts::compiler()?;
    if compiler != baseline.compiler {
        eprintln!("counts: the baseline is that of {}", baseline.compiler);
        return Ok(Counts {
            skipped: 1,
            ..Counts::default()
        });
    }
    let target = root::project().join("target");
    let kernel = target.join("x86_64-unknown-none/release/kiln");
    let plugin = target.join("release/libkiln_count.so");
    let boot = boot::Inputs {
        kernel: kernel.clone(),
        root: root::image()?,
        busybox: PathBuf::from("/bin/busybox"),
        plugin: plugin.clone(),
        cache: cache::directory()?,
        peer: micro::Peer::Minimal,
        rounds: 0,
    };
    let micro = micro::Inputs {
        kernel,
        program: target.join("x86_64-unknown-linux-gnu/release/behave"),
        plugin,
        cache: cache::directory()?,
        peer: micro::Peer::Minimal,
        rounds: 0,
        words: counts::MEASURES.map(str::to_owned).into(),
    };
    let above = counts::count(&boot, &micro)?.above(&baseline);
    ensure!(
        above.is_empty(),
        "above the baseline (harness/bench.sh counts tells today's):\n{}",
        above.join("\n")
    );
    Ok(PASSED)
}
