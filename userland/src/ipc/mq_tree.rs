//! The file system of message queues, mounted: queues as files.
use crate::out::{say, show, show_ok};
use crate::sys::{Plain, file, mq};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let place = c"/tmp/behave_mqueue";
    let _ = file::mkdir(place, 0o700);
    let mounted = file::mount(c"none", place, c"mqueue", 0, None);
    show("mount", mounted);
    if mounted.is_err() {
        return 0;
    }
    let flags = libc::O_CREAT | libc::O_RDWR;
    let queue = mq::mq_open(c"behave_tree", flags, 0o604, None).unwrap_or(0) as i32;
    let path = c"/tmp/behave_mqueue/behave_tree";
    let mut stat = libc::stat::zeroed();
    show("stat", file::stat(path, &mut stat));
    say!("mode {:o} size {}", stat.st_mode, stat.st_size);
    let _ = mq::send(queue, b"four", 0, None);
    let text = std::fs::read_to_string("/tmp/behave_mqueue/behave_tree");
    say!("{text:?}");
    let made = file::open(c"/tmp/behave_mqueue/made", flags, 0o600);
    show_ok("made by open", made);
    say!("{:?}", mq::told(made.unwrap_or(0) as i32));
    show_ok("found by mq_open", mq::mq_open(c"made", libc::O_RDWR, 0, None));
    show("directory", file::mkdir(c"/tmp/behave_mqueue/dir", 0o700));
    show("link", file::link(path, c"/tmp/behave_mqueue/other"));
    show("rename", file::rename(path, c"/tmp/behave_mqueue/other"));
    let mut names: Vec<String> = std::fs::read_dir("/tmp/behave_mqueue")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| matches!(name.as_str(), "behave_tree" | "made"))
        .collect();
    names.sort();
    say!("{names:?}");
    show("unlink", file::unlink(path));
    show("unlink", mq::mq_unlink(c"behave_tree"));
    show("unlink", mq::mq_unlink(c"made"));
    let mut kind = libc::statfs::zeroed();
    let _ = file::statfs(place, &mut kind);
    say!("kind {:#x}", kind.f_type);
    let _ = file::stat(place, &mut stat);
    say!("root {:o}", stat.st_mode);
    for name in ["msg_default", "msg_max", "msgsize_default", "msgsize_max", "queues_max"] {
        say!("{name} {:?}", std::fs::read_to_string(format!("/proc/sys/fs/mqueue/{name}")));
    }
    let _ = file::umount2(place, libc::MNT_DETACH);
    show("remove", file::rmdir(place));
    0
}
