//! The kernel to beat: Debian's cloud kernel, fetched as a package, its `vmlinux` taken out of the
//! bzImage so that QEMU boots it through PVH like Kiln, and an initramfs around what it is to run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Linux ready to boot.
pub struct Linux {
    /// The decompressed kernel.
    pub vmlinux: PathBuf,
    /// Where its modules are, in directories as its sources have them; the minimal one has none.
    pub modules: PathBuf,
    /// Its release, `6.1.0-…-cloud-amd64`.
    pub release: String,
}

/// Fetches and unpacks the kernel into `cache`, unless it is there.
///
/// # Errors
/// When the package can't be had or isn't made as expected.
pub fn prepare(cache: &Path) -> Result<Linux> {
    let dir = cache.join("linux-cloud");
    let vmlinux = dir.join("vmlinux");
    let release_file = dir.join("release");
    if !vmlinux.exists() || !release_file.exists() {
        std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        let package = package_name()?;
        eprintln!("kiln: fetching {package}");
        run(Command::new("apt-get")
            .args(["download", "-q", &package])
            .current_dir(&dir))?;
        let deb = find(&dir, |name| name.ends_with(".deb"))?;
        run(Command::new("dpkg")
            .arg("-x")
            .arg(&deb)
            .arg(dir.join("root")))?;
        let image = find(&dir.join("root/boot"), |name| name.starts_with("vmlinuz-"))?;
        let packed = std::fs::read(&image)?;
        let release = image.file_name().unwrap_or_default().to_string_lossy();
        std::fs::write(&vmlinux, decompress(&packed)?)?;
        std::fs::write(&release_file, release.trim_start_matches("vmlinuz-"))?;
    }
    let release = std::fs::read_to_string(release_file)?;
    Ok(Linux {
        vmlinux,
        modules: dir.join("root/lib/modules").join(&release).join("kernel"),
        release,
    })
}

/// An initramfs with these directories and programs.
///
/// # Errors
/// When a program is too large for the format.
pub fn initramfs(dirs: &[&str], programs: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    use cpio::newc::{Builder, ModeFileType, trailer};
    let mut out = Vec::new();
    for dir in dirs {
        let dir = Builder::new(dir)
            .mode(0o755)
            .set_mode_file_type(ModeFileType::Directory);
        dir.write(&mut out, 0).finish()?;
    }
    for (name, program) in programs {
        let file = Builder::new(name)
            .mode(0o755)
            .set_mode_file_type(ModeFileType::Regular);
        let mut writer = file.write(&mut out, u32::try_from(program.len())?);
        std::io::Write::write_all(&mut writer, program)?;
        writer.finish()?;
    }
    trailer(&mut out)?;
    Ok(out)
}

/// The smallest Linux that runs the bench, built once from Debian's sources with the options in
/// `harness/linux-minimal.config`.
///
/// # Errors
/// When the sources can't be had or don't build.
pub fn prepare_minimal(cache: &Path) -> Result<Linux> {
    const PACKAGE: &str = "linux-source-6.1";
    let dir = cache.join("linux-minimal");
    let vmlinux = dir.join("vmlinux");
    if !vmlinux.exists() {
        std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        eprintln!("bench: fetching {PACKAGE} and building it, which takes a while, once");
        let options = crate::root::project().join("harness/linux-minimal.config");
        let script = format!(
            "set -e; cd \"$1\"; rm -rf root; apt-get download -q {PACKAGE}; dpkg -x {PACKAGE}_*.deb root; \
             rm {PACKAGE}_*.deb; tar -C root -xf root/usr/src/{PACKAGE}.tar.xz; cd root/{PACKAGE}; \
             make -s tinyconfig; cat \"$2\" >> .config; make -s olddefconfig; make -s -j\"$(nproc)\" vmlinux; \
             cp vmlinux ../..; cd ../..; rm -rf root"
        );
        run(Command::new("sh")
            .args(["-c", &script, "sh"])
            .arg(&dir)
            .arg(options))
        .context("it wants flex, bison, bc, make, gcc, xz-utils, libelf-dev")?;
    }
    Ok(Linux {
        vmlinux,
        modules: PathBuf::new(),
        release: "6.1-minimal".to_owned(),
    })
}

/// The package that the metapackage stands for today.
fn package_name() -> Result<String> {
    let output = Command::new("apt-cache")
        .args(["depends", "linux-image-cloud-amd64"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let name = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "));
    name.map(str::to_owned)
        .context("linux-image-cloud-amd64 isn't known here: run apt-get update")
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", error.trim());
    Ok(())
}

fn find(dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<PathBuf> {
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        if wanted(&entry.file_name().to_string_lossy()) {
            return Ok(entry.path());
        }
    }
    bail!("{} doesn't hold what was expected", dir.display())
}

/// Takes `vmlinux` out of a bzImage. The boot protocol's header says where the payload lies
/// (Documentation/arch/x86/boot.rst: setup_sects at 0x1F1, payload_offset and payload_length at 0x248).
fn decompress(image: &[u8]) -> Result<Vec<u8>> {
    let word = |at: usize| -> Result<usize> {
        let bytes = image
            .get(at..at + 4)
            .context("the kernel image is too short")?;
        Ok(u32::from_le_bytes(bytes.try_into()?) as usize)
    };
    let sectors = *image.get(0x1F1).context("the kernel image is too short")?;
    let start = (usize::from(sectors) + 1) * 512 + word(0x248)?;
    let payload = image
        .get(start..start + word(0x24C)?)
        .context("the payload is cut off")?;
    lz4_legacy(payload)
}

/// LZ4's legacy frame: a magic number, then blocks, each behind its length; the kernel's build
/// appends the unpacked size.
fn lz4_legacy(payload: &[u8]) -> Result<Vec<u8>> {
    const MAGIC: [u8; 4] = 0x184C_2102u32.to_le_bytes();
    const BLOCK: usize = 8 << 20;
    let (body, size) = payload
        .split_last_chunk::<4>()
        .context("the payload is empty")?;
    let size = u32::from_le_bytes(*size) as usize;
    let mut rest = body
        .strip_prefix(&MAGIC)
        .context("the kernel isn't packed with LZ4")?;
    let mut out = Vec::with_capacity(size);
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let block = tail.get(..length).context("a block is cut off")?;
        out.extend(lz4_flex::block::decompress(block, BLOCK)?);
        rest = tail.get(length..).unwrap_or_default();
    }
    ensure!(
        out.len() == size,
        "the unpacked kernel has {} bytes, not {size}",
        out.len()
    );
    Ok(out)
}
