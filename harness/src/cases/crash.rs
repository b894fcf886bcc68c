//! The machine stops at any instant, and its disk afterwards: a clean file system once the journal
//! is replayed, with everything in it that the job was told is durable.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use kiln_core::fs::ext4::{Device, DeviceError, Ext4, Options, ROOT, Time};

use super::files::mke2fs;
use super::userland;
use crate::testing::{Case, Job, Scratch};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("crash::a_killed_machine_loses_nothing_synced", || {
            kills(4, &BOOKS)
        }),
        Case::new(
            "crash::a_killed_machine_brings_back_nothing_discarded",
            || kills(4, &DISCARDING),
        ),
        Case::new("crash::a_killed_machine_rearranges_in_order", || {
            kills(4, &REARRANGING)
        }),
    ];
    // A thousand kills, on disks that can be looked at side by side.
    for disk in 1..=10 {
        let name = format!("crash::a_hundred_kills_of_disk_{disk}");
        cases.push(Case::new(&name, || kills(100, &BOOKS)).long());
        let name = format!("crash::a_hundred_kills_discarding_on_disk_{disk}");
        cases.push(Case::new(&name, || kills(100, &DISCARDING)).long());
        let name = format!("crash::a_hundred_kills_rearranging_disk_{disk}");
        cases.push(Case::new(&name, || kills(100, &REARRANGING)).long());
    }
    cases
}

/// Files that are replaced in turn, each time made durable before it is told.
const SLOTS: u64 = 40;

/// Four that make a mess, and one that keeps books. `$1` is the first number.
const LOAD: &str = r#"
cd /mnt; mkdir -p books; rm -rf w*
mess() { mkdir w$1; cd w$1; i=0; while :; do
  dd if=/dev/zero of=f$((i%40)) bs=$((1000+i%50*137)) count=$((1+i%30)) 2>/dev/null
  [ $((i%5)) = 0 ] && rm -f f$(((i*7)%40))
  [ $((i%7)) = 0 ] && [ -e f$((i%40)) ] && mv f$((i%40)) g$((i%13))
  [ $((i%11)) = 0 ] && [ -e g$((i%13)) ] && truncate -s $((i%90*300)) g$((i%13))
  [ $((i%9)) = 0 ] && [ -e g$((i%13)) ] && { mkdir -p d$((i%4))/x; ln -f g$((i%13)) d$((i%4))/l$i; }
  [ $((i%17)) = 0 ] && rm -rf d$(((i+1)%4))
  [ $((i%23)) = 0 ] && ln -s "$(seq -s, $((i%99)))" s$((i%31)) 2>/dev/null
  [ $((i%29)) = 0 ] && { sleep 1 < g$((i%13)) & rm -f g$((i%13)); } 2>/dev/null
  i=$((i+1)); done; }
for k in 1 2 3 4; do mess $k & done
n=$1; while :; do
  seq $n $((n+n%700)) | dd of=books/new conv=fsync 2>/dev/null
  mv books/new books/b$((n%40)); sync; echo $n; n=$((n+1)); done
"#;

/// What is freed isn't the disk's to keep any more.
const DISCARD: &str =
    "mount -o remount,discard /mnt; while sleep 0.2; do fstrim /mnt; done >/dev/null & ";

/// What runs when the machine stops, and how its disk is judged.
struct Load {
    /// The job's words after its disk, from the first number on.
    words: fn(u64) -> Result<Vec<OsString>>,
    /// Takes a line that the job wrote when something was durable: the slot, and its number.
    told: fn(&str) -> Option<(u64, u64)>,
    /// Everything told of is there.
    check: fn(&Path, &[Option<u64>]) -> Result<()>,
}

const BOOKS: Load = Load {
    words: |first| {
        let first = first.to_string();
        Ok(["--", "sh", "-c", LOAD, "sh", &first]
            .map(OsString::from)
            .into())
    },
    told: |line| line.parse().ok().map(|number| (number % SLOTS, number)),
    check: books,
};

/// The books on a disk that loses what is freed, at once and, for a second time, all of it together.
const DISCARDING: Load = Load {
    words: |first| {
        let (script, first) = (DISCARD.to_owned() + LOAD, first.to_string());
        Ok(["--", "sh", "-c", &script, "sh", &first]
            .map(OsString::from)
            .into())
    },
    ..BOOKS
};

/// `behave --helper rearrange` tells what it does.
const REARRANGING: Load = Load {
    words: |first| {
        let first = first.to_string();
        let mut words: Vec<OsString> = vec!["--root".into(), userland::root_dir()?.into()];
        let program = ["--", "/behave", "--helper", "rearrange", "/mnt", &first];
        words.extend(program.map(OsString::from));
        Ok(words)
    },
    told: |line| {
        let (slot, generation) = line.split_once(' ')?;
        Some((slot.parse().ok()?, generation.parse().ok()?))
    },
    check: rearranged,
};

/// An image file as the file system's device.
struct Image(File);

impl Device for Image {
    fn size(&self) -> u64 {
        self.0.metadata().map_or(0, |meta| meta.len())
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        let read = self.0.read_exact_at(buffer, offset);
        read.map_err(|_| DeviceError)
    }

    fn write(&mut self, offset: u64, buffer: &[u8]) -> Result<(), DeviceError> {
        let written = self.0.write_all_at(buffer, offset);
        written.map_err(|_| DeviceError)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

fn open(path: &Path) -> Result<Ext4<Image>> {
    let file = File::options().read(true).write(true).open(path)?;
    let options = Options {
        now: now()?,
        ..Options::default()
    };
    let mounted = Ext4::mount(Image(file), &options);
    mounted.map_err(|error| anyhow!("mounting {}: {error}", path.display()))
}

/// The real time: e2fsck takes a deletion soon after 1970 for a part of the list of orphans.
fn now() -> Result<Time> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Time {
        seconds: i64::try_from(since.as_secs())?,
        nanos: since.subsec_nanos(),
    })
}

fn e2fsck(arguments: &[&str], image: &Path) -> Result<(i32, String)> {
    let mut command = Command::new(crate::recipe::program("e2fsck")?);
    command.args(arguments).arg(image);
    let got = Job::of(command).run()?;
    Ok((got.status(), got.out()))
}

/// The disk is clean after a replay, whoever does it; `image` itself isn't changed.
fn check(scratch: &Scratch, image: &Path, load: &Load, told: &[Option<u64>]) -> Result<()> {
    let copy = scratch.path("copy");
    for theirs in [false, true] {
        fs::copy(image, &copy)?;
        if theirs {
            let (status, said) = e2fsck(&["-E", "journal_only", "-y"], &copy)?;
            ensure!(status <= 1, "e2fsck's replay: {said}");
        }
        let replayed = open(&copy)?;
        let finished = replayed.unmount(now()?);
        finished.map_err(|error| anyhow!("unmounting: {error}"))?;
        let (status, said) = e2fsck(&["-fn"], &copy)?;
        ensure!(status == 0, "replayed by e2fsck: {theirs}; {said}");
        (load.check)(&copy, told)?;
    }
    Ok(())
}

/// Every book that was told of is there, or a later one in its place, whole.
fn books(image: &Path, told: &[Option<u64>]) -> Result<()> {
    let mut fs = open(image)?;
    let error = |error| anyhow!("the books: {error}");
    let Some(dir) = fs.lookup(ROOT, b"books").map_err(error)? else {
        ensure!(told.iter().all(Option::is_none), "the books are gone");
        return Ok(());
    };
    for (slot, told) in told.iter().enumerate() {
        let Some(told) = *told else { continue };
        let name = format!("b{slot}");
        let found = fs.lookup(dir, name.as_bytes()).map_err(error)?;
        let ino = found.with_context(|| format!("{name} is gone"))?;
        let size = usize::try_from(fs.attr(ino).map_err(error)?.size)?;
        let mut bytes = vec![0; size];
        fs.read(ino, 0, &mut bytes).map_err(error)?;
        let text = String::from_utf8_lossy(&bytes);
        let is = |first: u64| {
            let wanted: String = (first..=first + first % 700)
                .map(|n| format!("{n}\n"))
                .collect();
            text == wanted
        };
        ensure!(
            (0..3).any(|later| is(told + later * SLOTS)),
            "{name} isn't what {told} left: {:?}",
            text.get(..60)
        );
    }
    Ok(())
}

/// Every file that was told of is there, or a later one in its place, and what is in them is in order: between
/// increasing numbers only zeros, and no other file's bytes.
fn rearranged(image: &Path, told: &[Option<u64>]) -> Result<()> {
    let mut fs = open(image)?;
    let error = |error| anyhow!("rearranged: {error}");
    for (slot, told) in told.iter().enumerate() {
        let mut found = None;
        // The second is its name for a while.
        for name in [format!("r{slot}"), format!("x{slot}")] {
            found = found.or(fs.lookup(ROOT, name.as_bytes()).map_err(error)?);
        }
        let Some(ino) = found else {
            ensure!(told.is_none(), "file {slot} is gone");
            continue;
        };
        let size = usize::try_from(fs.attr(ino).map_err(error)?.size)?;
        let mut bytes = vec![0; size];
        fs.read(ino, 0, &mut bytes).map_err(error)?;
        let generation = in_order(&bytes, fs.block_size())
            .with_context(|| format!("file {slot}, of which {told:?} was told"))?;
        ensure!(
            told.is_none_or(|told| generation >= told),
            "file {slot} is of {generation}, before {told:?}"
        );
    }
    Ok(())
}

/// The generation of a file's blocks, which are in order.
fn in_order(bytes: &[u8], block_size: usize) -> Result<u64> {
    let (mut generation, mut last) = (None, 0);
    for (at, block) in bytes.chunks(block_size).enumerate() {
        let mut words = block.chunks(8).map(|word| {
            let mut whole = [0; 8];
            whole
                .iter_mut()
                .zip(word)
                .for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(whole)
        });
        let first = words.next().unwrap_or(0);
        ensure!(words.all(|word| word == first), "block {at} is torn");
        if first == 0 {
            continue;
        }
        ensure!(first > last, "block {at} has {first:#x} behind {last:#x}");
        ensure!(
            *generation.get_or_insert(first >> 16) == first >> 16,
            "block {at} is another file's"
        );
        last = first;
    }
    generation.context("nothing is left")
}

fn kills(count: u32, load: &Load) -> Result<()> {
    let scratch = Scratch::new("crash")?;
    let image = scratch.path("disk");
    mke2fs(&image, 64 << 20)?;
    let mut told = vec![None; usize::try_from(SLOTS)?];
    let mut next = 1u64;
    let mut span = 1500;
    for round in 0..count {
        let disk = format!("{}:/mnt", image.display());
        let mut words: Vec<OsString> = vec!["--disk".into(), disk.into()];
        words.extend((load.words)(next)?);
        let running = Job::new(words).start()?;
        // Long enough for most to be in the midst of it, mount and replay included.
        let clock = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
        let millis = 300 + u64::from(clock / 1000) % span;
        thread::sleep(Duration::from_millis(millis));
        running.kill();
        let got = running.wait()?;
        let out = got.out();
        // The last line may be half of one.
        let whole = out
            .rfind('\n')
            .map_or("", |end| out.get(..end).unwrap_or(""));
        for line in whole.lines() {
            let (slot, number) = (load.told)(line).with_context(|| got.shown())?;
            if let Some(slot) = told.get_mut(usize::try_from(slot)?) {
                *slot = Some(number);
            }
            next = next.max(number + 1);
        }
        ensure!(got.err().is_empty(), "round {round}: {}", got.shown());
        // QEMU dies with the launcher, but not in the same instant.
        thread::sleep(Duration::from_millis(50));
        let checked = check(&scratch, &image, load, &told);
        checked.with_context(|| format!("round {round}, killed after {millis} ms"))?;
        if whole.is_empty() {
            // A machine that has much else to do.
            span = (span * 2).min(12_000);
        }
    }
    ensure!(next > 1, "nothing was ever told");
    Ok(())
}
