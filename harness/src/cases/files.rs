//! `/in`, `/out`, `--disk` and `--root`: trees arrive as they are, both ways.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::testing::{Case, Got, Job, Scratch};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("files::sums_equal_the_hosts", sums),
        Case::new("files::trees_come_back", trees),
        Case::new("files::in_is_read_only", in_is_read_only),
        Case::new(
            "files::out_is_delivered_whatever_the_status",
            whatever_the_status,
        ),
        Case::new("files::out_merges", merges),
        Case::new("files::churn_reaches_the_disk", churn),
        Case::new("files::a_full_disk_is_enospc", full_disk),
        Case::new("files::disks_keep_what_is_written", disks),
        Case::new("files::a_packed_root", packed_root),
        Case::new("files::a_root_in_an_archive", archived_root),
        Case::new("files::a_container_image", container_image),
        Case::new("files::ten_thousand_files", || many_files(10_000)).long(),
        Case::new("files::one_thousand_files", || many_files(1000)),
        Case::new("files::a_gigabyte", gigabyte).long(),
    ]
}

/// A tree with every kind of thing that a caller's directory may hold.
fn fill(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir.join("sub/deeper"))?;
    fs::create_dir(dir.join("empty"))?;
    for size in [0, 1, 4095, 4096, 4097, 1 << 20] {
        let bytes: Vec<u8> = (0..size)
            .map(|at| kiln_core::num::low8(at * 31 % 255))
            .collect();
        fs::write(dir.join(format!("size-{size}")), bytes)?;
    }
    let odd: [&[u8]; 6] = [
        b"with space",
        b"new\nline",
        "\u{fc}\u{1F525}".as_bytes(),
        b"bad\xff\xfeutf8",
        &[b'x'; 255],
        b"-rf",
    ];
    for name in odd {
        fs::write(dir.join(OsStr::from_bytes(name)), name)?;
    }
    symlink("size-1", dir.join("link"))?;
    symlink("../no/such", dir.join("sub/dangling"))?;
    symlink("y".repeat(200), dir.join("sub/long"))?;
    fs::hard_link(dir.join("size-4097"), dir.join("sub/deeper/same"))?;
    for (name, mode) in [("size-0", 0o600), ("size-1", 0o755), ("sub/deeper", 0o750)] {
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode))?;
    }
    let mut sparse = File::create(dir.join("sparse"))?;
    sparse.seek(SeekFrom::Start(10 << 20))?;
    sparse.write_all(b"end")?;
    Ok(())
}

/// What a tree holds, as text that two trees can be compared by.
fn listing(dir: &Path) -> Result<String> {
    let script = "cd \"$1\" && find . -mindepth 1 -printf '%p %y %m %n %l\\n' | sort && \
                  find . -type f -print0 | sort -z | xargs -0 -r sha256sum";
    let got = Job::of({
        let mut command = Command::new("sh");
        command
            .args(["-c", script, "sh"])
            .arg(dir)
            .env("LC_ALL", "C");
        command
    });
    Ok(got.run()?.has_status(0)?.out())
}

fn same(a: &Path, b: &Path) -> Result<()> {
    let (a, b) = (listing(a)?, listing(b)?);
    for (left, right) in a.lines().zip(b.lines()) {
        ensure!(left == right, "{left:?} isn't {right:?}");
    }
    ensure!(
        a.lines().count() == b.lines().count(),
        "one has more than the other"
    );
    Ok(())
}

fn with_dirs(options: &[(&str, &Path)], script: &str) -> Result<Got> {
    let words = options
        .iter()
        .flat_map(|(option, dir)| [OsStr::new(*option), dir.as_os_str()]);
    Job::sh_with(words, script)
        .deadline(Duration::from_secs(120))
        .run()
}

/// Four writers at once replace, cut, rename, link and delete files: what they saw at the end is
/// what the disk holds. (Inode numbers and blocks go from deleted files to new ones all the time.)
fn churn() -> Result<()> {
    let scratch = Scratch::new("churn")?;
    let output = scratch.path("out");
    fs::create_dir_all(&output)?;
    let script = r#"
cd /out
work() { mkdir w$1; cd w$1; i=0; while [ $i -lt 100 ]; do
  dd if=/dev/urandom of=f$((i%40)) bs=$((1000+i*37)) count=$((1+i%30)) 2>/dev/null
  [ $((i%5)) = 0 ] && rm -f f$(((i*7)%40))
  [ $((i%7)) = 0 ] && [ -e f$((i%40)) ] && mv f$((i%40)) g$((i%13))
  [ $((i%11)) = 0 ] && [ -e g$((i%13)) ] && truncate -s $((i*300)) g$((i%13))
  [ $((i%9)) = 0 ] && [ -e g$((i%13)) ] && { mkdir -p d$((i%4))/x; ln -f g$((i%13)) d$((i%4))/l$i; }
  [ $((i%17)) = 0 ] && rm -rf d$(((i+1)%4))
  i=$((i+1)); done; find . -type f -exec sha256sum {} + > /out/sums$1; }
for k in 1 2 3 4; do work $k & done; wait
"#;
    with_dirs(&[("--out", &output)], script)?.is(0, "")?;
    for writer in 1..=4 {
        let sums = output.join(format!("sums{writer}"));
        ensure!(
            fs::read_to_string(&sums)?.lines().count() > 20,
            "too few files"
        );
        let mut check = Command::new("sha256sum");
        check
            .args(["-c", "--quiet"])
            .arg(&sums)
            .current_dir(output.join(format!("w{writer}")));
        Job::of(check).run()?.is(0, "")?;
    }
    Ok(())
}

fn sums() -> Result<()> {
    let scratch = Scratch::new("sums")?;
    let (input, output) = (scratch.path("in"), scratch.path("out"));
    fill(&input)?;
    let script = "cd /in && find . -type f -print0 | sort -z | xargs -0 sha256sum > /out/sums";
    with_dirs(&[("--in", &input), ("--out", &output)], script)?.is(0, "")?;
    let found = String::from_utf8_lossy(&fs::read(output.join("sums"))?).into_owned();
    // The same program as in the VM: coreutils' sha256sum would escape the odd names.
    let mut host = Command::new("busybox");
    host.args([
        "sh",
        "-c",
        "busybox find . -type f -print0 | busybox sort -z | busybox xargs -0 busybox sha256sum",
    ])
    .env("LC_ALL", "C")
    .current_dir(&input);
    let wanted = Job::of(host).run()?.out();
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    ensure!(
        sorted(&found) == sorted(&wanted),
        "{found}\nisn't\n{wanted}"
    );
    Ok(())
}

fn trees() -> Result<()> {
    let scratch = Scratch::new("trees")?;
    let (input, output) = (scratch.path("in"), scratch.path("out"));
    fill(&input)?;
    let dirs: [(&str, &Path); 2] = [("--in", &input), ("--out", &output)];
    with_dirs(&dirs, "cp -a /in/. /out/")?.is(0, "")?;
    same(&input, &output)?;
    let ino = |name: &str| fs::metadata(output.join(name)).map(|meta| meta.ino());
    ensure!(
        ino("size-4097")? == ino("sub/deeper/same")?,
        "a hard link was split"
    );
    Ok(())
}

fn in_is_read_only() -> Result<()> {
    let scratch = Scratch::new("ro")?;
    fs::write(scratch.path("file"), "x")?;
    let script = "touch /in/new; echo y > /in/file; rm /in/file; cat /in/file";
    let got = with_dirs(&[("--in", &scratch.0)], script)?.has_status(0)?;
    let refusals = got.err().matches("Read-only file system").count();
    ensure!(got.out() == "x" && refusals == 3, "{}", got.shown());
    Ok(())
}

fn whatever_the_status() -> Result<()> {
    for (end, status) in [("exit 3", 3), ("kill -9 $$", 137), ("exec /no/such", 127)] {
        let scratch = Scratch::new("status")?;
        let script = format!("echo kept > /out/file; {end}");
        with_dirs(&[("--out", &scratch.0)], &script)?.has_status(status)?;
        let kept = fs::read_to_string(scratch.path("file")).context(end)?;
        ensure!(kept == "kept\n", "{end}: {kept:?}");
    }
    let scratch = Scratch::new("status")?;
    let out = scratch.0.as_os_str();
    let options = [
        OsStr::new("--timeout"),
        OsStr::new("4"),
        OsStr::new("--out"),
        out,
    ];
    let job = Job::sh_with(options, "echo kept > /out/file; sleep 99");
    job.run()?.has_status(124)?;
    ensure!(
        fs::read_to_string(scratch.path("file"))? == "kept\n",
        "not after a timeout"
    );
    Ok(())
}

fn merges() -> Result<()> {
    let scratch = Scratch::new("merge")?;
    fs::create_dir(scratch.path("dir"))?;
    for (name, text) in [("old", "old"), ("both", "old"), ("dir/old", "old")] {
        fs::write(scratch.path(name), text)?;
    }
    let script = "ls /out; echo new > /out/both; mkdir /out/dir; echo new > /out/dir/new";
    with_dirs(&[("--out", &scratch.0)], script)?.is(0, "")?;
    let texts = [
        ("old", "old"),
        ("both", "new\n"),
        ("dir/old", "old"),
        ("dir/new", "new\n"),
    ];
    for (name, text) in texts {
        let found = fs::read_to_string(scratch.path(name))?;
        ensure!(found == text, "{name}: {found:?}");
    }
    Ok(())
}

pub(super) fn mke2fs(image: &Path, size: u64) -> Result<()> {
    File::create(image)?.set_len(size)?;
    let mut command = Command::new(crate::recipe::program("mke2fs")?);
    command.args(["-q", "-F", "-t", "ext4"]).arg(image);
    Job::of(command).run()?.has_status(0).map(drop)
}

pub(super) fn e2fsck(image: &Path) -> Result<()> {
    let mut command = Command::new(crate::recipe::program("e2fsck")?);
    command.arg("-fn").arg(image);
    Job::of(command).run()?.has_status(0).map(drop)
}

fn full_disk() -> Result<()> {
    let scratch = Scratch::new("full")?;
    let image = scratch.path("disk");
    mke2fs(&image, 16 << 20)?;
    let disk = format!("{}:/mnt", image.display());
    let script = "dd if=/dev/zero of=/mnt/big bs=64k count=1000 2>/tmp/said; echo $?; \
                  grep -c 'No space left' /tmp/said; rm /mnt/big; echo fine > /mnt/after; cat /mnt/after";
    Job::sh_with(["--disk", &disk], script)
        .run()?
        .is(0, "1\n1\nfine\n")?;
    e2fsck(&image)
}

fn disks() -> Result<()> {
    let scratch = Scratch::new("disks")?;
    let image = scratch.path("a,b");
    mke2fs(&image, 32 << 20)?;
    let disk = format!("{}:/mnt", image.display());
    let script = "mkdir /mnt/d && seq 10000 > /mnt/d/seq && ln -s d/seq /mnt/l";
    Job::sh_with(["--disk", &disk], script).run()?.is(0, "")?;
    e2fsck(&image)?;
    let read_only = format!("{}:ro:/mnt", image.display());
    let script = "tail -1 /mnt/l; touch /mnt/x 2>/dev/null || echo refused; wc -c < /dev/vda; ls /sys/fs/ext4";
    Job::sh_with(["--disk", &read_only], script)
        .run()?
        .is(0, "10000\nrefused\n33554432\nfeatures\nvda\n")
}

fn packed_root() -> Result<()> {
    let scratch = Scratch::new("root")?;
    fs::create_dir_all(scratch.path("tmp"))?;
    fs::copy(crate::recipe::program("busybox")?, scratch.path("busybox"))?;
    fs::write(scratch.path("file"), "in the root\n")?;
    let root = scratch.0.as_os_str();
    let script = "cat /file; echo changed > /file; cat /file; ls /";
    let words = [OsStr::new("--root"), root];
    let rest = ["--", "/busybox", "sh", "-c", script].map(OsStr::new);
    for _ in 0..2 {
        let got = Job::new(words.into_iter().chain(rest)).run()?;
        got.is(0, "in the root\nchanged\nbusybox\ndev\nfile\nproc\ntmp\n")?;
    }
    ensure!(
        fs::read_to_string(scratch.path("file"))? == "in the root\n",
        "the host's was changed"
    );
    Ok(())
}

/// An OCI image layout with one layer, as an archive: what it says of the job counts where the
/// command line is silent.
fn container_image() -> Result<()> {
    let scratch = Scratch::new("image")?;
    let busybox = crate::recipe::program("busybox")?;
    let script = r#"
cd "$0" && mkdir -p root/bin root/etc root/work image/blobs/sha256 && cp "$1" root/bin/busybox && ln root/bin/busybox root/bin/sh
echo 'ann:x:70:71::/work:/bin/sh' > root/etc/passwd && chmod 777 root/work && tar -C root -cf layer . && gzip -k layer
sum() { sha256sum "$1" | cut -d' ' -f1; }
blob() { s=$(sum "$1"); cp "$1" image/blobs/sha256/$s; echo "{\"mediaType\":\"application/vnd.oci.image.$2\",\"digest\":\"sha256:$s\",\"size\":$(stat -c %s "$1")}"; }
echo "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":[\"PATH=/bin\",\"GREETING=hello\"],\"WorkingDir\":\"/work\",\"User\":\"ann\",
\"Entrypoint\":[\"sh\",\"-c\"],\"Cmd\":[\"echo \$GREETING \$HOME; busybox pwd; busybox id -u; exit 7\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:$(sum layer)\"]}}" > config
echo "{\"schemaVersion\":2,\"config\":$(blob config config.v1+json),\"layers\":[$(blob layer.gz layer.v1.tar+gzip)]}" > manifest
echo "{\"schemaVersion\":2,\"manifests\":[$(blob manifest manifest.v1+json)]}" > image/index.json
echo '{"imageLayoutVersion":"1.0.0"}' > image/oci-layout
tar -C image -cf image.tar .
"#;
    let mut command = Command::new("sh");
    command.args(["-ec", script]).arg(&scratch.0).arg(busybox);
    Job::of(command).run()?.is(0, "")?;
    for image in ["image.tar", "image"] {
        let root = ["--root".into(), scratch.path(image).into_os_string()];
        Job::new(root.clone())
            .run()?
            .is(7, "hello /work\n/work\n70\n")?;
        let rest = [
            "--user",
            "0",
            "--cwd",
            "/",
            "--env",
            "GREETING=x",
            "--",
            "sh",
            "-c",
            "echo $GREETING $HOME; busybox pwd",
        ];
        Job::new(root.into_iter().chain(rest.map(Into::into)))
            .run()?
            .is(0, "x /root\n/\n")?;
    }
    Ok(())
}

fn archived_root() -> Result<()> {
    let scratch = Scratch::new("cpio")?;
    fs::create_dir_all(scratch.path("tree/bin"))?;
    fs::copy(
        crate::recipe::program("busybox")?,
        scratch.path("tree/bin/sh"),
    )?;
    fs::write(scratch.path("tree/file"), "in the archive\n")?;
    let busybox = crate::recipe::program("busybox")?;
    let cpio = format!("find . | {} cpio -o -H newc 2>/dev/null", busybox.display());
    for (name, pack) in [
        ("root.cpio", cpio.clone()),
        ("root.cpio.gz", format!("{cpio} | gzip")),
        ("root.cpio.xz", format!("{cpio} | xz")),
        ("root.cpio.zst", format!("{cpio} | zstd -q")),
        ("root.tar", "tar -cf - .".to_owned()),
        ("root.tar.gz", "tar -czf - .".to_owned()),
        ("root.tar.zst", "tar -cf - . | zstd -q".to_owned()),
    ] {
        let script = format!("cd {}/tree && {pack} > ../{name}", scratch.0.display());
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        Job::of(command).run()?.has_status(0)?;
        let image = scratch.path(name).into_os_string();
        let words = ["--root".into(), image, "--".into(), "/bin/sh".into()];
        let rest = ["-c", "read x < /file; echo $x"].map(Into::into);
        Job::new(words.into_iter().chain(rest))
            .run()?
            .is(0, "in the archive\n")?;
    }
    climbing(&scratch)
}

/// A cpio with `../f` in the place of `file`, and one that ends early.
fn climbing(scratch: &Scratch) -> Result<()> {
    let mut bytes = fs::read(scratch.path("root.cpio"))?;
    let root = scratch.path("bad.cpio");
    let words = ["--root".into(), root.clone().into_os_string(), "sh".into()];
    fs::write(&root, bytes.get(..bytes.len() / 2).unwrap_or_default())?;
    Job::new(words.clone())
        .run()?
        .says(125, "it is truncated")?;
    // A header has 110 bytes and begins with its magic number; the name follows.
    let is_entry = |part: &[u8]| part.starts_with(b"070701") && part.ends_with(b"file\0");
    let at = bytes.windows(115).position(is_entry);
    let name = at.and_then(|at| bytes.get_mut(at + 110..at + 114));
    name.context("no name")?.copy_from_slice(b"../f");
    fs::write(&root, bytes)?;
    Job::new(words).run()?.says(125, "a path climbs out of it")
}

fn many_files(count: u32) -> Result<()> {
    let scratch = Scratch::new("many")?;
    let (input, output) = (scratch.path("in"), scratch.path("out"));
    fs::create_dir(&input)?;
    for number in 0..count {
        fs::write(
            input.join(format!("file{number}")),
            format!("content {number}\n"),
        )?;
    }
    let dirs: [(&str, &Path); 2] = [("--in", &input), ("--out", &output)];
    with_dirs(&dirs, "cp -a /in/. /out/; ls /out | wc -l")?.is(0, &format!("{count}\n"))?;
    same(&input, &output)
}

fn gigabyte() -> Result<()> {
    let scratch = Scratch::new("gigabyte")?;
    let (input, output) = (scratch.path("in"), scratch.path("out"));
    fs::create_dir(&input)?;
    let mut file = std::io::BufWriter::new(File::create(input.join("big"))?);
    for number in 0..(1u64 << 27) {
        file.write_all(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes())?;
    }
    file.flush()?;
    let dirs: [(&str, &Path); 2] = [("--in", &input), ("--out", &output)];
    with_dirs(&dirs, "cp /in/big /out/big")?.is(0, "")?;
    let mut compare = Command::new("cmp");
    compare.arg(input.join("big")).arg(output.join("big"));
    Job::of(compare)
        .deadline(Duration::from_secs(120))
        .run()?
        .is(0, "")
}
