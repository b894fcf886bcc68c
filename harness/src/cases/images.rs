//! ext4 as other options of mke2fs and tune2fs make it, and as mount options want it: mounted for writing, for reading, or refused,
//! and whole afterwards.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::testing::{Case, Job, Scratch};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("images::of_every_kind", every_kind),
        Case::new("images::mount_options_show", options_show),
        Case::new("images::a_disk_answers", disk_answers),
        Case::new("images::a_partition_is_protected", protected),
    ]
}

/// Names of images, what mke2fs is told, and how they are to be mounted. What a writer would have to keep up and can't keeps
/// writers off; what a reader can't do without is refused.
static KINDS: [(&str, &str, &str); 33] = [
    ("plain", "-t ext4", "rw"),
    ("narrow", "-t ext4 -O ^64bit", "rw"),
    ("unsummed", "-t ext4 -O ^metadata_csum", "rw"),
    ("uninit", "-t ext4 -O ^metadata_csum,uninit_bg", "rw"),
    ("largedir", "-t ext4 -O large_dir", "rw"),
    ("sparse2", "-t ext4 -O sparse_super2,^resize_inode", "rw"),
    ("metabg", "-t ext4 -O meta_bg,^resize_inode", "rw"),
    ("nojournal", "-t ext4 -O ^has_journal", "rw"),
    ("fast", "-t ext4 -O fast_commit", "rw"),
    ("orphans", "-t ext4 -O orphan_file", "rw"),
    ("seed", "-t ext4 -O metadata_csum_seed", "rw"),
    ("stable", "-t ext4 -O stable_inodes", "rw"),
    ("noextents", "-t ext4 -O ^extents,^64bit", "rw"),
    ("noflex", "-t ext4 -O ^flex_bg", "rw"),
    ("noindex", "-t ext4 -O ^dir_index", "rw"),
    ("nofiletype", "-t ext4 -O ^filetype", "rw"),
    ("nohuge", "-t ext4 -O ^huge_file", "rw"),
    ("b1024", "-t ext4 -b 1024", "rw"),
    ("b2048", "-t ext4 -b 2048", "rw"),
    ("i128", "-t ext4 -I 128", "rw"),
    ("i1024", "-t ext4 -I 1024", "rw"),
    ("groups", "-t ext4 -b 1024 -g 256", "rw"),
    ("ext2", "-t ext2", "rw"),
    ("revision0", "-t ext2 -r 0", "rw"),
    ("ext3", "-t ext3", "rw"),
    ("bigalloc", "-t ext4 -O bigalloc -C 16384", "ro"),
    ("quota", "-t ext4 -O quota", "ro"),
    ("verity", "-t ext4 -O verity", "ro"),
    ("inline", "-t ext4 -O inline_data", "no"),
    ("encrypt", "-t ext4 -O encrypt", "no"),
    ("casefold", "-t ext4 -O casefold", "no"),
    ("mmp", "-t ext4 -O mmp", "no"),
    ("eainode", "-t ext4 -O ea_inode", "no"),
];

/// What the job does with the image `$1`: reads what the host has put there, changes that, and says how it went.
const USE: &str = "use() { cp /in/$1 img; \
    if mount -o loop img /m 2>/dev/null; then how=rw; grep -q '/m ext. ro' /proc/mounts && how=ro; \
    elif mount -o loop,ro img /m 2>/dev/null; then how=ro; else how=no; fi; echo $1 $how; \
    if [ $how != no ]; then cd /m; cat one; ls many | wc -l; sha256sum < data | cut -c1-8; readlink slow | wc -c; \
    if [ $how = rw ]; then i=0; while [ $i -lt 100 ]; do echo $i > many/n$i; i=$((i+1)); done; mkdir -p a/b; mv one a/b; \
    rm -r many/m*1* data; ln a/b/one two; dd if=/dev/zero of=new bs=10k count=30 2>/dev/null; truncate -s 9000 new; fi; \
    cd /tmp; umount /m; fi; cp img /out/$1; rm img; }; mkdir /m; cd /tmp; ";

fn mke2fs(words: &str, contents: &Path, image: &Path) -> Result<()> {
    fs::File::create(image)?.set_len(8 << 20)?;
    let mut command = Command::new(crate::recipe::program("mke2fs")?);
    command.args(["-q", "-F", "-d"]).arg(contents);
    // Its configuration would make small ones otherwise.
    if !words.contains("-b ") {
        command.args(["-b", "4096"]);
    }
    command.args(words.split(' ')).arg(image);
    Job::of(command).run()?.has_status(0).map(drop)
}

fn every_kind() -> Result<()> {
    let scratch = Scratch::new("kinds")?;
    let tree = scratch.path("tree");
    fs::create_dir_all(tree.join("many"))?;
    fs::write(tree.join("one"), "one\n")?;
    fs::write(tree.join("data"), vec![7; 150_000])?;
    for number in 0..60 {
        fs::write(tree.join(format!("many/m{number}")), "x")?;
    }
    std::os::unix::fs::symlink("s".repeat(99), tree.join("slow"))?;
    let (given, made) = (scratch.path("in"), scratch.path("out"));
    fs::create_dir(&given)?;
    let (mut script, mut wanted) = (USE.to_owned(), String::new());
    for (name, words, how) in &KINDS {
        mke2fs(words, &tree, &given.join(name))?;
        script += &format!("use {name}; ");
        wanted += &format!("{name} {how}\n");
        if *how != "no" {
            wanted += "one\n60\nfe3115a6\n100\n";
        }
    }
    let words = ["--memory", "256M", "--in", &given.display().to_string()].map(str::to_owned);
    let out = ["--out".to_owned(), made.display().to_string()];
    let got = Job::sh_with(words.into_iter().chain(out), &script)
        .deadline(Duration::from_secs(120))
        .run()?;
    ensure!(got.out() == wanted, "{}", got.shown());
    for (name, _, how) in &KINDS {
        let image = made.join(name);
        if *how == "rw" {
            super::files::e2fsck(&image)?;
        } else {
            ensure!(
                fs::read(&image)? == fs::read(given.join(name))?,
                "{name} was changed"
            );
        }
    }
    Ok(())
}

/// As Linux's `/proc/mounts` has them.
const SHOWN: [(&str, &str); 17] = [
    ("defaults", "rw,relatime"),
    (
        "ro,noatime,nosuid,nodev,noexec",
        "ro,nosuid,nodev,noexec,noatime",
    ),
    ("nodiratime", "rw,nodiratime,relatime"),
    ("sync", "rw,sync,relatime"),
    ("dirsync", "rw,dirsync,relatime"),
    ("lazytime", "rw,lazytime,relatime"),
    // What isn't done isn't promised.
    ("data=journal", ""),
    ("data=ordered", "rw,relatime,data=ordered"),
    (
        "data=writeback,commit=7",
        "rw,relatime,commit=7,data=writeback",
    ),
    ("errors=continue", "rw,relatime"),
    (
        "errors=remount-ro,discard",
        "rw,relatime,discard,errors=remount-ro",
    ),
    (
        "barrier=0,noauto_da_alloc",
        "rw,relatime,nobarrier,noauto_da_alloc",
    ),
    ("noload,ro", "ro,relatime,norecovery"),
    ("acl,user_xattr,commit=5,barrier", "rw,relatime"),
    ("noacl", ""),
    ("errors=often", ""),
    ("commit=soon", ""),
];

fn options_show() -> Result<()> {
    let scratch = Scratch::new("options")?;
    let image = scratch.path("disk");
    super::files::mke2fs(&image, 16 << 20)?;
    let mut script = "mkdir /m; show() { mount -t ext4 -o $1 /dev/vda /m 2>/dev/null; \
                      grep ' /m ' /proc/mounts | cut -d' ' -f4; mount | grep -q ' /m ' && umount /m || echo; }; "
        .to_owned();
    let mut wanted = String::new();
    for (given, shown) in SHOWN {
        script += &format!("show {given}; ");
        wanted += &format!("{shown}\n");
    }
    script += "mount -t ext4 /dev/vda /m; for o in sync,commit=9 async,commit=0,errors=panic dirsync data=writeback; do \
               mount -o remount,$o /m 2>/dev/null; echo $?; done; grep ' /m ' /proc/mounts | cut -d' ' -f4; \
               umount /m; mount -o dirsync /dev/vda /m; echo x > /m/f; mv /m/f /m/g; ls /m/g; \
               mount -t ext2 /dev/vda /m 2>/dev/null || echo not ext2";
    wanted += "0\n0\n0\n255\nrw,relatime,errors=panic\n/m/g\nnot ext2\n";
    let disk = image.display().to_string();
    let got = Job::sh_with(["--disk", &disk].map(str::to_owned), &script).run()?;
    ensure!(got.out() == wanted, "{}", got.shown());
    super::files::e2fsck(&image)
}

/// A disk's ioctls, its partition's, and what becomes zeroes, as on Linux.
fn disk_answers() -> Result<()> {
    let scratch = Scratch::new("answers")?;
    let image = scratch.path("disk");
    partitioned(&image)?;
    let root = super::userland::root_dir()?.display().to_string();
    let disk = image.display().to_string();
    let program = ["--", "/behave", "file/block_device", "/dev/vda"];
    let words = ["--root", &root, "--disk", &disk];
    Job::new(words.into_iter().chain(program))
        .run()?
        .is(0, include_str!("block_device.txt"))
}

/// What isn't to be written is one partition, or the disk with all of them.
fn protected() -> Result<()> {
    let scratch = Scratch::new("protected")?;
    let image = scratch.path("disk");
    partitioned(&image)?;
    let disk = image.display().to_string();
    let script = "tell() { cat /sys/block/vda/ro /sys/block/vda/vda1/ro | tr '\\n' ' '; \
                  for d in vda1 vda; do blockdev --getro /dev/$d; \
                  echo x | dd of=/dev/$d seek=9 conv=notrunc 2>/dev/null && echo written || echo refused; done | tr '\\n' ' '; echo; }; \
                  tell; blockdev --setro /dev/vda1; tell; blockdev --setrw /dev/vda1; blockdev --setro /dev/vda; tell";
    Job::sh_with(["--disk", &disk].map(str::to_owned), script)
        .run()?
        .is(
            0,
            "0 0 0 written 0 written \n0 1 1 refused 0 written \n1 1 1 refused 1 refused \n",
        )
}

/// 64 MiB with one partition in an MBR.
fn partitioned(image: &Path) -> Result<()> {
    let file = fs::File::create(image)?;
    file.set_len(64 << 20)?;
    let entry = [0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0x50, 0, 0];
    file.write_all_at(&entry, 446)?;
    file.write_all_at(&[0x55, 0xAA], 510)?;
    Ok(())
}
