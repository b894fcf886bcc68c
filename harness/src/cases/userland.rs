//! The programs of `userland/`: each runs on the host's Linux and in a VM, and must print the same
//! bytes and end with the same status.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::root;
use crate::testing::{Case, Got, Job};

/// The multi-call program, built static.
fn behave() -> PathBuf {
    root::project().join("target/x86_64-unknown-linux-gnu/release/behave")
}

/// The root it runs in, beside the build's results.
fn behave_root() -> PathBuf {
    root::project().join("target/behave-root")
}

/// The same, for other tests that need its helpers.
pub(super) fn root_dir() -> Result<PathBuf> {
    let dir = behave_root();
    ensure!(
        dir.join("behave").exists(),
        "{} has no behave",
        dir.display()
    );
    Ok(dir)
}

pub(super) fn cases() -> Vec<Case> {
    match listed() {
        Ok(cases) => cases,
        Err(error) => {
            let why = format!("{error:#}");
            vec![Case::new("userland::list", move || {
                Err(anyhow::anyhow!(why.clone()))
            })]
        }
    }
}

fn listed() -> Result<Vec<Case>> {
    let behave = behave();
    make_root(&behave)?;
    let list = Command::new(&behave)
        .arg("--list")
        .output()
        .with_context(|| behave.display().to_string())?;
    let list = String::from_utf8(list.stdout)?;
    let mut cases = Vec::new();
    for line in list.lines() {
        let mut words = line.split(' ').map(str::to_owned);
        let Some(name) = words.next() else { continue };
        let tags: Vec<String> = words.collect();
        if tags.iter().any(|tag| tag == "alone") {
            // The storms' cases, of several lengths, are below.
            if name != "hostile/storm" {
                let title = format!("userland::{}", name.replace('/', "::"));
                cases.push(Case::new(&title, move || by_itself(&name)));
            }
            continue;
        }
        let long = !is_for_several(&name, &tags);
        cases.extend(ON_MORE.map(|cpus| {
            let case = case(&name, &tags, Some(cpus));
            if long { case.long() } else { case }
        }));
        cases.push(case(&name, &tags, None));
    }
    for (seed, cpus) in [(1, 1), (2, 1), (3, 4), (4, 4)] {
        let place = match cpus {
            1 => String::new(),
            more => format!("on_{more}_cpus::"),
        };
        let title = format!("userland::{place}hostile::as_root_{seed}");
        cases.push(Case::new(&title, move || hostile_as_root(seed, cpus)));
    }
    cases.extend(storms());
    Ok(cases)
}

/// How many CPUs programs get, besides what all get: those that are about several always, the others with
/// `--long`.
const ON_MORE: [u32; 2] = [2, 4];

/// Whether a program has to do with how many CPUs there are: threads and processes, and who tells whom what
/// when.
fn is_for_several(name: &str, tags: &[String]) -> bool {
    let subject = name.split('/').next().unwrap_or_default();
    matches!(
        subject,
        "smp" | "pipe" | "process" | "signal" | "sched" | "hostile"
    ) || name.contains("storm")
        || name.contains("fork_many")
        || tags.iter().any(|tag| tag == "threads")
}

fn case(name: &str, tags: &[String], cpus: Option<u32>) -> Case {
    let place = cpus.map_or(String::new(), |cpus| format!("on_{cpus}_cpus::"));
    let title = format!("userland::{place}{}", name.replace('/', "::"));
    let (name, tags) = (name.to_owned(), tags.to_vec());
    Case::new(&title, move || compare(&name, &tags, cpus))
}

/// A program for a machine of its own: it says itself whether all was right.
fn by_itself(name: &str) -> Result<()> {
    let root = behave_root().into_os_string();
    let words = [
        "--root".into(),
        root,
        "--".into(),
        "/behave".into(),
        name.into(),
    ];
    let got = Job::new(words).run()?.has_status(0)?;
    ensure!(got.out().ends_with("still here\n"), "{}", got.shown());
    Ok(())
}

/// Threads and processes that make random calls at once: the machine must outlive them, and end each of them.
fn storms() -> Vec<Case> {
    let mut cases = Vec::new();
    for (cpus, seconds) in [1, 2, 4]
        .into_iter()
        .flat_map(|cpus| [(cpus, 4), (cpus, 300)])
    {
        for rights in ["root", "user"] {
            let length = if seconds < 10 { "short" } else { "long" };
            let title = format!("userland::on_{cpus}_cpus::hostile::{length}_storm_as_{rights}");
            let case = Case::new(&title, move || storm(cpus, rights, seconds));
            cases.push(if seconds < 10 { case } else { case.long() });
        }
    }
    cases
}

fn storm(cpus: u32, rights: &str, seconds: u64) -> Result<()> {
    let words = [
        "--root".into(),
        behave_root().into_os_string(),
        "--cpus".into(),
        cpus.to_string().into(),
    ];
    let (seed, length) = (cpus.to_string(), seconds.to_string());
    let rest = ["--", "/behave", "hostile/storm", rights, &seed, &length].map(Into::into);
    let got = Job::new(words.into_iter().chain(rest))
        .deadline(Duration::from_secs(120 + 2 * seconds))
        .run()?
        .has_status(0)?;
    ensure!(got.out().ends_with("still here\n"), "{}", got.shown());
    Ok(())
}

/// Seeded mixes of hostile arguments with all rights, which no host should be given: the machine
/// must outlive them.
fn hostile_as_root(seed: u64, cpus: u32) -> Result<()> {
    let root = behave_root().into_os_string();
    let cpus = cpus.to_string().into();
    let words = ["--root".into(), root, "--cpus".into(), cpus, "--".into()];
    let rest = ["/behave", "hostile/random", "root", &seed.to_string()].map(Into::into);
    let got = Job::new(words.into_iter().chain(rest))
        .run()?
        .has_status(0)?;
    let said = got.out();
    ensure!(
        said.ends_with("calls made, and still here\n"),
        "{}",
        got.shown()
    );
    ensure!(!said.contains("hangs"), "{}", got.shown());
    Ok(())
}

fn make_root(behave: &Path) -> Result<()> {
    let dir = behave_root();
    for name in ["tmp", "proc", "sys", "dev", "bin"] {
        fs::create_dir_all(dir.join(name))?;
    }
    // The same file stays in place, so that the packed root is still good.
    let fresh = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    if fresh(&dir.join("behave")) < fresh(behave) {
        fs::copy(behave, dir.join("behave")).with_context(|| behave.display().to_string())?;
        fs::copy(crate::recipe::program("busybox")?, dir.join("bin/busybox"))?;
        fs::copy(crate::recipe::program("busybox")?, dir.join("bin/sh"))?;
    }
    Ok(())
}

/// The host runs a program once at a time: what has a name there, a message queue or an address, is the same in each run.
fn host_turn(name: &str) -> Arc<Mutex<()>> {
    static TURNS: Mutex<BTreeMap<String, Arc<Mutex<()>>>> = Mutex::new(BTreeMap::new());
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(turns.entry(name.to_owned()).or_default())
}

fn compare(name: &str, tags: &[String], cpus: Option<u32>) -> Result<()> {
    let has = |tag: &str| tags.iter().any(|have| have == tag);
    let input: &[u8] = if has("in") {
        b"some input\nof two lines\n"
    } else {
        b""
    };
    let with_input = |job: Job| if has("in") { job.input(input) } else { job };
    let mut host = Command::new(behave());
    host.arg(name);
    // Those ask a hundred thousand questions.
    let patience = Duration::from_secs(if name.starts_with("hostile") { 240 } else { 60 });
    let wanted = {
        let turn = host_turn(name);
        let _alone = turn.lock().unwrap_or_else(PoisonError::into_inner);
        with_input(Job::of(host).deadline(patience)).run()?
    };
    let mut words = vec!["--root".into(), behave_root().into_os_string()];
    if let Some(cpus) = cpus {
        words.extend(["--cpus".into(), cpus.to_string().into()]);
    }
    words.push("--".into());
    let rest = ["/behave", name].map(Into::into);
    let job = Job::new(words.into_iter().chain(rest));
    let found = with_input(job.deadline(patience)).run()?;
    // What only a real processor does exactly (tag `cpu`): an emulated one may end it otherwise,
    // as it does under Linux, but the kernel must survive it.
    if has("cpu") && !crate::qemu::kvm_is_usable() {
        ensure!(found.status() != 125, "{}", found.shown());
        return Ok(());
    }
    if has("absent") {
        return same_but_absent(&found, &wanted);
    }
    same(&found, &wanted)
}

/// As [`same`], for lines `NUMBER GROUP: ANSWER...` of system calls: one that is documented as absent
/// may answer ENOSYS throughout, and so may Linux where it was built without it.
fn same_but_absent(found: &Got, wanted: &Got) -> Result<()> {
    let (ours, linux) = (found.out(), wanted.out());
    ensure!(found.status() == wanted.status(), "{}", found.shown());
    ensure!(
        ours.lines().count() == linux.lines().count(),
        "{} lines, on Linux {}",
        ours.lines().count(),
        linux.lines().count()
    );
    let mut different = Vec::new();
    for (ours, linux) in ours.lines().zip(linux.lines()) {
        let number = ours.split(' ').next().and_then(|word| word.parse().ok());
        let absent = number.is_some_and(crate::syscalls::is_absent);
        if ours != linux && !(absent && is_enosys(ours)) && !is_enosys(linux) {
            different.push(format!("{ours:?}, on Linux {linux:?}"));
        }
    }
    ensure!(different.is_empty(), "{}", different.join("\n"));
    Ok(())
}

fn is_enosys(line: &str) -> bool {
    let answers = line.split_once(": ").map_or("", |(_, answers)| answers);
    answers.split(' ').all(|answer| answer == "ENOSYS")
}

fn same(found: &Got, wanted: &Got) -> Result<()> {
    let (ours, linux) = (found.out(), wanted.out());
    for (line, (ours, linux)) in ours.lines().zip(linux.lines()).enumerate() {
        ensure!(
            ours == linux,
            "line {}: {ours:?}, on Linux {linux:?}",
            line + 1
        );
    }
    let fine = found.stdout == wanted.stdout && found.status() == wanted.status();
    ensure!(fine, "{}; on Linux {}", found.shown(), wanted.shown());
    Ok(())
}
