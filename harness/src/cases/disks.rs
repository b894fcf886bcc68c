//! Disks that fail, and roots that are disks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::files::{e2fsck, mke2fs};
use crate::testing::{Case, Got, Job, Scratch};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("disks::errors_reach_the_program", errors),
        Case::new("disks::a_failed_flush_fails_the_job", failed_flush),
        Case::new("disks::many_wait_for_one_disk", many_wait),
        Case::new("disks::a_fault_reads_what_lies_around", read_around),
        Case::new("disks::files_lie_in_pieces", || {
            on_disk("extents", "ext4", include_str!("extents.txt"))
        }),
        Case::new("disks::files_end_where_linux_ends_them", || {
            on_disk("disk_limits", "ext4", include_str!("disk_limits.txt"))
        }),
        Case::new("disks::lists_of_blocks_end_earlier", || {
            on_disk("disk_limits", "ext3", include_str!("disk_limits_ext3.txt"))
        }),
        Case::new("disks::a_file_system_answers", || {
            on_disk("disk_requests", "ext4", include_str!("disk_requests.txt"))
        }),
        Case::new("disks::what_is_free_is_discarded", discards),
        Case::new("disks::an_ext4_root_vanishes_unless_rw", ext4_root),
        Case::new("disks::a_damaged_root_is_refused", damaged_root),
        Case::new("disks::a_file_is_a_disk", loop_devices),
        Case::new("disks::a_file_has_partitions", loop_partitions),
    ]
}

/// Runs `script` with `image` at `/mnt`, from which QEMU's blkdebug takes what `rule` says.
fn with_rule(scratch: &Scratch, image: &Path, rule: &str, script: &str) -> Result<(Got, String)> {
    let (config, report) = (scratch.path("rule"), scratch.path("report"));
    fs::write(&config, format!("[inject-error]\nevent = \"none\"\n{rule}"))?;
    let image = image.display();
    let words = [
        "--disk".to_owned(),
        format!("{image}:/mnt"),
        "--report".to_owned(),
        report.display().to_string(),
        "--qemu-args".to_owned(),
        format!(
            "-set drive.disk1.file=blkdebug:{}:{image}",
            config.display()
        ),
    ];
    let got = Job::sh_with(words, script).run()?;
    Ok((got, fs::read_to_string(report)?))
}

fn errors() -> Result<()> {
    let scratch = Scratch::new("errors")?;
    let image = scratch.path("disk");
    mke2fs(&image, 64 << 20)?;
    let rule = "iotype = \"write\"\nsector = \"60000\"\n";
    let script = "dd if=/dev/zero of=/mnt/f bs=1M count=40 conv=fsync 2>/tmp/said; echo $?; \
                  grep -c 'Input/output error' /tmp/said; echo still > /mnt/g; sync; cat /mnt/g";
    let (got, report) = with_rule(&scratch, &image, rule, script)?;
    ensure!(got.out() == "1\n1\nstill\n", "{}", got.shown());
    ensure!(report.contains("\"errors\""), "{report}");
    e2fsck(&image)?;
    let rule = "iotype = \"read\"\nsector = \"60000\"\n";
    let script = "cat /dev/vda 2>&1 >/dev/null | grep -c 'Input/output error'; echo alive";
    let (got, report) = with_rule(&scratch, &image, rule, script)?;
    ensure!(got.out() == "1\nalive\n", "{}", got.shown());
    ensure!(report.contains("\"errors\""), "{report}");
    got.has_status(0).map(drop)
}

/// Without a journal a mount needs no flush, so that the first failure is the job's.
fn failed_flush() -> Result<()> {
    let scratch = Scratch::new("flush")?;
    let image = scratch.path("disk");
    fs::File::create(&image)?.set_len(16 << 20)?;
    let mut command = Command::new(crate::recipe::program("mke2fs")?);
    command.args(["-q", "-F", "-t", "ext2"]).arg(&image);
    Job::of(command).run()?.has_status(0)?;
    let rule = "iotype = \"flush\"\n";
    let (got, report) = with_rule(&scratch, &image, rule, "echo x > /mnt/f")?;
    ensure!(report.contains("failed_flushes"), "{report}");
    got.says(125, "isn't all on its disks")
}

/// Whoever looks at the queue of a disk takes back what others wait for; all of them must hear of it.
fn many_wait() -> Result<()> {
    let scratch = Scratch::new("waiters")?;
    let image = scratch.path("disk");
    mke2fs(&image, 64 << 20)?;
    let script = "files() { i=0; while [ $i -lt 40 ]; do \
                  dd if=/dev/zero of=/mnt/$1/$i bs=4k count=1 conv=fsync 2>/dev/null; i=$((i+1)); done; }; \
                  for n in 1 2 3 4 5 6; do mkdir /mnt/$n; files $n & done; wait; ls /mnt/[1-6]/* | wc -l";
    for cpus in ["1", "2", "4"] {
        let disk = format!("{}:/mnt", image.display());
        let words = ["--cpus", cpus, "--disk", &disk].map(str::to_owned);
        let job = Job::sh_with(words, &format!("rm -rf /mnt/[1-6]; {script}"));
        job.deadline(Duration::from_secs(60))
            .run()?
            .is(0, "240\n")?;
    }
    e2fsck(&image)
}

/// What a program sees of its file on a disk is what one on the host sees there.
fn read_around() -> Result<()> {
    let scratch = Scratch::new("around")?;
    let image = scratch.path("disk");
    mke2fs(&image, 64 << 20)?;
    let root = super::userland::root_dir()?;
    let name = "memory/read_around";
    let mut host = Command::new(root.join("behave"));
    host.arg(name);
    let wanted = Job::of(host).run()?.out();
    let (root, disk) = (
        root.display().to_string(),
        format!("{}:/tmp", image.display()),
    );
    let words = ["--root", &root, "--disk", &disk, "--", "/behave", name];
    Job::new(words).run()?.is(0, &wanted)?;
    e2fsck(&image)
}

/// A program does and is told the same on a disk as Linux's ext4 has it do and tells it.
fn on_disk(name: &str, kind: &str, wanted: &str) -> Result<()> {
    let scratch = Scratch::new(name)?;
    let image = scratch.path("disk");
    fs::File::create(&image)?.set_len(64 << 20)?;
    let mut command = Command::new(crate::recipe::program("mke2fs")?);
    command.args(["-q", "-F", "-t", kind, "-b", "4096"]);
    command.arg(&image);
    Job::of(command).run()?.has_status(0)?;
    let root = super::userland::root_dir()?.display().to_string();
    let disk = format!("{}:/disk", image.display());
    let behaviour = format!("file/{name}");
    let program = ["--", "/behave", &behaviour, "/disk"];
    let words = ["--root", &root, "--disk", &disk];
    Job::new(words.into_iter().chain(program))
        .run()?
        .is(0, wanted)?;
    e2fsck(&image)
}

/// What was freed takes no space on the host any more, whether it is told of at once or later; the rest is as it was.
fn discards() -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let scratch = Scratch::new("discards")?;
    let image = scratch.path("disk");
    mke2fs(&image, 64 << 20)?;
    let disk = image.display().to_string();
    let fill = "for i in 1 2 3 4 5 6 7 8; do dd if=/dev/urandom of=/m/f$i bs=1M count=4 2>/dev/null; done; \
                sync; rm /m/f[1357]; sync; sha1sum /m/f* > /tmp/sums; ";
    let check =
        "umount /m; mount -t ext4 /dev/vda /m; sha1sum -s -c /tmp/sums && echo whole; rm /m/f*";
    let script = |first: &str, then: &str| {
        format!("mkdir /m; mount -t ext4 -o {first} /dev/vda /m; {fill} {then} {check}")
    };
    let mut taken = Vec::new();
    for (first, then) in [
        ("nodiscard", ""),
        ("discard", ""),
        ("nodiscard", "fstrim /m;"),
    ] {
        Job::sh_with(["--disk", &disk].map(str::to_owned), &script(first, then))
            .run()?
            .is(0, "whole\n")?;
        taken.push(fs::metadata(&image)?.blocks() / 2048);
        e2fsck(&image)?;
        Job::sh_with(
            ["--disk", &disk].map(str::to_owned),
            "mkdir /m; mount -t ext4 /dev/vda /m; fstrim /m",
        )
        .run()?
        .is(0, "")?;
    }
    ensure!(
        matches!(taken[..], [all, once, later] if all >= 32 && once < 24 && later < 24),
        "MiB that the image takes: {taken:?}"
    );
    Ok(())
}

/// An image with busybox in it.
fn root_image(scratch: &Scratch) -> Result<PathBuf> {
    let tree = scratch.path("tree");
    fs::create_dir_all(tree.join("bin"))?;
    let busybox = crate::recipe::program("busybox")?;
    fs::copy(busybox, tree.join("bin/busybox"))?;
    std::os::unix::fs::symlink("busybox", tree.join("bin/sh"))?;
    fs::write(tree.join("file"), "in the root\n")?;
    let image = scratch.path("root.ext4");
    fs::File::create(&image)?.set_len(64 << 20)?;
    let mut command = Command::new(crate::recipe::program("mke2fs")?);
    command.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-d"]);
    command.arg(&tree).arg(&image);
    Job::of(command).run()?.has_status(0)?;
    Ok(image)
}

fn on_root(image: &Path, options: &[&str], script: &str) -> Result<Got> {
    let image = image.display().to_string();
    let mut words = vec!["--root", &image];
    words.extend(options);
    words.extend(["--", "/bin/sh", "-c", script]);
    Job::new(words).deadline(Duration::from_secs(60)).run()
}

fn ext4_root() -> Result<()> {
    let scratch = Scratch::new("ext4root")?;
    let image = root_image(&scratch)?;
    let before = fs::read(&image)?;
    let script = "b=/bin/busybox; cat() { $b cat \"$@\"; }; cat /file; echo changed > /file; cat /file; \
                  $b mkdir -p /a/b; $b ls -d /dev/null /proc/self/exe; $b grep ' / ' /proc/mounts";
    let wanted =
        "in the root\nchanged\n/dev/null\n/proc/self/exe\n/dev/vda / ext4 rw,relatime 0 0\n";
    for _ in 0..2 {
        on_root(&image, &[], script)?.is(0, wanted)?;
    }
    ensure!(fs::read(&image)? == before, "the image was changed");
    on_root(&image, &["--rw"], script)?.is(0, wanted)?;
    e2fsck(&image)?;
    on_root(&image, &["--rw"], "/bin/busybox cat /file")?.is(0, "changed\n")?;
    e2fsck(&image)
}

/// Images are made, mounted and filled inside, as recipes for images do; the host finds them whole.
fn loop_devices() -> Result<()> {
    let scratch = Scratch::new("loop")?;
    let (given, made) = (scratch.path("in"), scratch.path("out"));
    fs::create_dir_all(&given)?;
    mke2fs(&given.join("ext4"), 16 << 20)?;
    let script = "cd /tmp; ls /dev/loop*; losetup -f; dd if=/dev/zero of=ext2 bs=1M count=4 2>/dev/null; \
        losetup /dev/loop0 ext2 && losetup -a; mke2fs /dev/loop0 >/dev/null; mkdir a b; mount /dev/loop0 a; \
        echo one > a/f; losetup -d /dev/loop0; losetup -a; umount a; losetup -a; \
        cp /in/ext4 .; mount -o loop ext4 a; mount -o loop ext2 b; grep loop /proc/mounts; \
        cp b/f a/f; i=0; while [ $i -lt 200 ]; do echo $i > a/$i; i=$((i+1)); done; \
        cat /sys/block/loop0/loop/backing_file /sys/block/loop0/size; \
        cd /sys/block/loop0/queue; cat zoned nr_requests discard_granularity minimum_io_size; cd /tmp; umount a b; losetup -a; \
        mount -o loop,ro ext4 a; cat a/f a/199; touch a/x; umount a; cp ext4 ext2 /out; \
        mount -o loop,sb=1,wrong ext4 a; mount -o loop,errors=continue,noload ext4 a; ls a/f";
    let words = [
        "--in".to_owned(),
        given.display().to_string(),
        "--out".to_owned(),
        made.display().to_string(),
    ];
    let told = "/dev/loop0: 0 ext2\n";
    let wanted = format!(
        "/dev/loop-control\n/dev/loop0\n{told}{told}\
         /dev/loop0 /tmp/a ext4 rw,relatime 0 0\n/dev/loop1 /tmp/b ext4 rw,relatime 0 0\n\
         /tmp/ext4\n32768\nnone\n128\n4096\n512\none\n199\na/f\n"
    );
    let got = Job::sh_with(words, script)
        .deadline(Duration::from_secs(60))
        .run()?;
    ensure!(got.out() == wanted, "{}", got.shown());
    for said in ["Read-only file system", "failed: Invalid argument"] {
        ensure!(got.err().contains(said), "{}", got.shown());
    }
    e2fsck(&made.join("ext4"))?;
    e2fsck(&made.join("ext2"))
}

/// Two entries of a partition table, at the first MiB and the fifth.
fn loop_partitions() -> Result<()> {
    let script = r"cd /tmp; dd if=/dev/zero of=disk bs=1M count=10 2>/dev/null
        (printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\040\0\0\0\0\0\0\203\0\0\0\0\050\0\0\0\040\0\0'
        dd if=/dev/zero bs=32 count=1; printf '\125\252') 2>/dev/null | dd of=disk bs=1 seek=446 conv=notrunc 2>/dev/null
        mknod /dev/loop3 b 7 3; losetup -P /dev/loop3 disk; ls /dev/loop3*; grep -c loop3p /proc/partitions; ls -d /sys/block/loop3/loop3p*
        mke2fs /dev/loop3p2 >/dev/null; mkdir a; mount /dev/loop3p2 a; echo two > a/f; sync
        blockdev --setro /dev/loop3p2; fstrim a 2>/dev/null || echo protected; blockdev --setrw /dev/loop3p2; fstrim a && umount a
        losetup -d /dev/loop3; ls /dev/loop3*; losetup -o 5242880 /dev/loop3 disk; mount -o ro /dev/loop3 a; cat a/f";
    let wanted = "/dev/loop3\n/dev/loop3p1\n/dev/loop3p2\n2\n/sys/block/loop3/loop3p1\n\
                  /sys/block/loop3/loop3p2\nprotected\n/dev/loop3\ntwo\n";
    Job::sh_with([] as [&str; 0], script).run()?.is(0, wanted)
}

fn damaged_root() -> Result<()> {
    let scratch = Scratch::new("damaged")?;
    let image = root_image(&scratch)?;
    let whole = fs::read(&image)?;
    // The superblock's block count, a descriptor, the journal's superblock through its inode.
    for at in [1024 + 4, 4096 + 8, 1024 + 0xE0] {
        let mut bytes = whole.clone();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 0x55;
        }
        fs::write(&image, bytes)?;
        on_root(&image, &[], "exit 0")?.says(125, "mounting /dev/vda at /")?;
    }
    Ok(())
}
