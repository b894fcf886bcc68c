//! Images that needn't be made again: `$XDG_CACHE_HOME/kiln`, one file per state of its source.
//!
//! A file appears under its name only when it is whole. What hasn't been used for a fortnight goes,
//! and so does the least recently used while all together are larger than [`MOST_BYTES`].

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};

const MOST_BYTES: u64 = 8 << 30;
const MOST_AGE: Duration = Duration::from_secs(14 * 24 * 3600);
/// What was used this recently is never removed: another run may be about to open it.
const LEAST_AGE: Duration = Duration::from_secs(3600);

/// The image called `name`, which `make` writes when it isn't there.
///
/// # Errors
/// Those of `make`, and of the cache's directory.
pub fn image(name: &str, make: impl FnOnce(&mut File) -> Result<()>) -> Result<PathBuf> {
    let dir = directory()?;
    let path = dir.join(name);
    if let Ok(file) = File::options().write(true).open(&path) {
        // The time of its last use; without the right to set it it ages sooner.
        let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
        return Ok(path);
    }
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    tidy(&dir);
    let whole = match unnamed_linkable(&dir) {
        Ok(mut file) => {
            make(&mut file)?;
            publish(&file, &path)
        }
        // This file system can't; a file left over by a killed run goes in `tidy`.
        Err(_) => {
            let name = dir.join(format!(".{}", std::process::id()));
            let made = File::create(&name)
                .map_err(Into::into)
                .and_then(|mut file| make(&mut file));
            if made.is_err() {
                let _ = fs::remove_file(&name);
            }
            made?;
            rustix::fs::rename(&name, &path)
        }
    };
    whole.with_context(|| path.display().to_string())?;
    Ok(path)
}

/// The directory of everything that is kept.
///
/// # Errors
/// When the environment doesn't tell where that could be.
pub fn directory() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))
        .map(|cache| cache.join("kiln"))
        .ok_or_else(|| {
            anyhow!("neither XDG_CACHE_HOME nor HOME is set: there is no place for images")
        })
}

/// Where large files without a name go: what the caller says, else `/var/tmp`, which, unlike `/tmp`,
/// isn't kept in memory.
#[must_use]
pub fn scratch_dir() -> PathBuf {
    let fallback = Path::new("/var/tmp");
    match std::env::var_os("TMPDIR").filter(|dir| !dir.is_empty()) {
        None if fallback.is_dir() => fallback.to_owned(),
        _ => std::env::temp_dir(),
    }
}

/// A file in `dir` that has no name, so that nothing is left of it however the launcher ends.
///
/// # Errors
/// Those of open(2).
pub fn unnamed(dir: &Path) -> Result<File> {
    unnamed_linkable(dir)
        .or_else(|_| {
            // Older overlay file systems have no O_TMPFILE: the next best.
            let path = dir.join(format!(".kiln-{}", std::process::id()));
            let file = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path)?;
            fs::remove_file(path)?;
            Ok::<_, std::io::Error>(file)
        })
        .with_context(|| dir.display().to_string())
}

fn unnamed_linkable(dir: &Path) -> rustix::io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    openat(CWD, dir, flags, Mode::from_raw_mode(0o644)).map(File::from)
}

/// Gives `file` its name, unless another run was faster.
fn publish(file: &File, path: &Path) -> rustix::io::Result<()> {
    use std::os::fd::AsRawFd;
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW) {
        Err(rustix::io::Errno::EXIST) => Ok(()),
        result => result,
    }
}

/// Removes what is old or too much. Whatever can't be removed stays.
fn tidy(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let now = SystemTime::now();
    let mut files: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            let age = now
                .duration_since(meta.modified().ok()?)
                .unwrap_or_default();
            Some((age, meta.len(), entry.path()))
        })
        .collect();
    files.sort();
    let mut total = 0;
    for (age, len, path) in files {
        total += len;
        if age > LEAST_AGE && (age > MOST_AGE || total > MOST_BYTES) {
            let _ = fs::remove_file(path);
        }
    }
}
