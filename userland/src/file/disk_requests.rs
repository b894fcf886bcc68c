//! Given a directory on a disk: what ioctl(2) asks of a file system there and of its files.
use crate::out::{say, show};
use crate::sys::{self, Arg, Plain, Res, child, file, process};
use std::ffi::CStr;

const FIBMAP: u64 = 1;
const FIGETBSZ: u64 = 2;
const GETFLAGS: u64 = 0x8008_6601;
const SETFLAGS: u64 = 0x4008_6602;
const GETVERSION: u64 = 0x8008_7601;
const OLD_GETVERSION: u64 = 0x8008_6603;
const FSGETXATTR: u64 = 0x801C_581F;
const FSSETXATTR: u64 = 0x401C_5820;
const GETLABEL: u64 = 0x8100_9431;
const SETLABEL: u64 = 0x4100_9432;
const FIFREEZE: u64 = 0xC004_5877;
const FITHAW: u64 = 0xC004_5878;
const FITRIM: u64 = 0xC018_5879;

fn word(fd: i32, request: u64, value: u32) -> (Res, u32) {
    let mut words = [value, 0];
    let done = file::ioctl(fd, request, words.as_mut_ptr() as usize);
    (done, words[0])
}

fn tell(what: &str, (done, value): (Res, u32)) {
    show(what, done);
    if done.is_ok() {
        say!("  {value:#x}");
    }
}

fn open(path: &CStr) -> i32 {
    file::open_or_say(path, libc::O_RDONLY, 0)
}

/// Each flag by itself, on a file with and without contents and on a directory.
fn flags() {
    for path in [c"empty", c"full", c"dir"] {
        say!("{}", path.to_string_lossy());
        let fd = open(path);
        let (_, first) = word(fd, GETFLAGS, 0);
        say!("  {first:#x}");
        for bit in 0..32 {
            // Contents in the journal are for those who may go beyond limits; extents aren't given up here.
            if bit == 14 || bit == 19 {
                continue;
            }
            let (done, _) = word(fd, SETFLAGS, first ^ 1 << bit);
            let (_, after) = word(fd, GETFLAGS, 0);
            say!("  {:#x}: {done:?} {after:#x}", 1u32 << bit);
            let _ = word(fd, SETFLAGS, first);
        }
        tell("back", word(fd, GETFLAGS, 0));
        let _ = file::close(fd);
    }
    say!("inherited");
    let fd = open(c"dir");
    for (what, flags) in [("sync", 0x8), ("no dump", 0x40), ("no atime", 0x80), ("append", 0x20), ("top", 0x2_0000), ("dirsync", 0x1_0000), ("all", 0x1_00CF)] {
        let (_, old) = word(fd, GETFLAGS, 0);
        tell(what, word(fd, SETFLAGS, old & 0x8_1000 | flags));
        file::make(c"dir/f", b"1", 0o600);
        let _ = file::mkdir(c"dir/d", 0o700);
        let _ = file::symlink(c"f", c"dir/l");
        for path in [c"dir/f", c"dir/d"] {
            let fd = open(path);
            tell("  has", word(fd, GETFLAGS, 0));
            let _ = file::close(fd);
        }
        let _ = word(fd, SETFLAGS, old & 0x8_1000);
        let _ = file::unlink(c"dir/f");
        let _ = file::unlink(c"dir/l");
        let _ = file::rmdir(c"dir/d");
    }
    let _ = file::close(fd);
}

fn xattr(fd: i32, what: &str, words: [u32; 7]) {
    let mut words = words;
    show(what, file::ioctl(fd, FSSETXATTR, words.as_mut_ptr() as usize));
    let mut told = [0u32; 7];
    let done = file::ioctl(fd, FSGETXATTR, told.as_mut_ptr() as usize);
    say!("  {done:?} {told:x?}");
}

fn projects() {
    for path in [c"empty", c"dir"] {
        let fd = open(path);
        xattr(fd, "nothing", [0; 7]);
        xattr(fd, "no dump", [0x80, 0, 0, 0, 0, 0, 0]);
        xattr(fd, "synchronous", [0x20, 0, 0, 0, 0, 0, 0]);
        xattr(fd, "project", [0, 0, 0, 7, 0, 0, 0]);
        xattr(fd, "inherited project", [0x200, 0, 0, 0, 0, 0, 0]);
        xattr(fd, "extent size", [0x800, 0, 0, 0, 0, 0, 0]);
        xattr(fd, "extent size of 4096", [0x800, 4096, 0, 0, 0, 0, 0]);
        xattr(fd, "extent size without a flag", [0, 4096, 0, 0, 0, 0, 0]);
        xattr(fd, "copied on write", [0x1_0000, 0, 0, 0, 0, 0, 0]);
        xattr(fd, "counted", [0, 0, 9, 0, 0, 0, 0]);
        xattr(fd, "unknown", [0x4000_0000, 0, 0, 0, 0, 0, 0]);
        xattr(fd, "direct", [0x8000, 0, 0, 0, 0, 0, 0]);
        xattr(fd, "padded", [0, 0, 0, 0, 0, 1, 0]);
        xattr(fd, "nothing", [0; 7]);
        let _ = file::close(fd);
    }
}

fn maps() {
    let fd = open(c"full");
    tell("block size", word(fd, FIGETBSZ, 0));
    let place = |fd, at| {
        let (done, block) = word(fd, FIBMAP, at);
        show(&format!("block {at}"), done);
        block
    };
    let (first, second) = (place(fd, 0), place(fd, 1));
    say!("side by side {} somewhere {}", second.wrapping_sub(first), first > 0);
    say!("in the hole {}", place(fd, 10));
    say!("behind {}", place(fd, 1000));
    say!("far behind {}", place(fd, 0x7FFF_FFFF));
    say!("before {}", place(fd, u32::MAX));
    let dir = open(c"dir");
    say!("of a directory {}", place(dir, 0));
    show("nowhere", file::ioctl(fd, FIBMAP, 0));
    let _ = file::close(dir);
    let _ = file::close(fd);
}

fn versions() {
    let fd = open(c"empty");
    let (done, old) = word(fd, GETVERSION, 0);
    say!("version {done:?}, the same {}", word(fd, OLD_GETVERSION, 0).1 == old);
    let _ = file::close(fd);
}

fn label(fd: i32, what: &str) {
    let mut text = [0xFFu8; 256];
    show(what, file::ioctl(fd, GETLABEL, text.as_mut_ptr() as usize));
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(256);
    let written = text.iter().rposition(|byte| *byte != 0xFF).map_or(0, |last| last + 1);
    say!("  {:?} of {written}", String::from_utf8_lossy(&text[..end]));
}

fn labels() {
    let fd = open(c".");
    label(fd, "label");
    for new in ["data", "sixteen-bytes-ok", "seventeen-are-not", ""] {
        let mut text = [0u8; 256];
        text[..new.len()].copy_from_slice(new.as_bytes());
        show(&format!("set {new:?}"), file::ioctl(fd, SETLABEL, text.as_mut_ptr() as usize));
        label(fd, "label");
    }
    let whole = [b'x'; 256];
    show("unended", file::ioctl(fd, SETLABEL, whole.as_ptr() as usize));
    show("nowhere", file::ioctl(fd, SETLABEL, 0));
    show("read from nowhere", file::ioctl(fd, GETLABEL, 0));
    let _ = file::close(fd);
}

fn trim(fd: i32, what: &str, range: [u64; 3]) -> u64 {
    let [start, _, least] = range;
    let mut range = range;
    show(what, file::ioctl(fd, FITRIM, range.as_mut_ptr() as usize));
    say!("  start and least as they were {}", (range[0], range[2]) == (start, least));
    range[1]
}

fn trims() {
    let fd = open(c".");
    let mut s = libc::statfs::zeroed();
    let _ = file::statfs(c".", &mut s);
    let size = (s.f_bsize as u64) * s.f_blocks;
    let all = trim(fd, "trim all", [0, u64::MAX, 0]);
    say!("  most of what is free {}", all > (s.f_bsize as u64) * s.f_bfree * 9 / 10);
    say!("again {}", trim(fd, "trim again", [0, u64::MAX, 0]) < all);
    say!("none so long {}", trim(fd, "trim long ones", [0, u64::MAX, 1 << 40]));
    say!("{}", trim(fd, "trim nothing", [0, 0, 0]));
    say!("{}", trim(fd, "trim less than a block", [0, 100, 0]));
    say!("{}", trim(fd, "trim behind the end", [size * 2, 4096, 0]));
    say!("the same {}", trim(fd, "trim with a rest", [100, 1 << 20, 0]) <= 1 << 20);
    show("nowhere", file::ioctl(fd, FITRIM, 0));
    let _ = file::close(fd);
}

/// Commands of quotactl(2) where no quota is on: of the VFS, of XFS, and others.
fn quotas() {
    let fd = open(c".");
    for kind in 0..4 {
        let mut line = format!("quotas of kind {kind}:");
        for command in (0x80_0000..0x80_000B).chain(0x5801..0x580B).chain([0]) {
            for id in [0usize, 1000] {
                let mut room = [0u64; 64];
                // SAFETY: no command writes more than there is room for.
                let done = unsafe {
                    sys::call(libc::SYS_quotactl_fd, [fd.arg(), command << 8 | kind, id, room.as_mut_ptr() as usize, 0, 0])
                };
                line += &match done {
                    Ok(value) => format!(" {value}"),
                    Err(errno) => format!(" {errno}"),
                };
            }
        }
        say!("{line}");
    }
    let _ = file::close(fd);
}

fn by_others() -> i32 {
    let _ = process::setresuid(1000, 1000, 1000);
    let fd = open(c".");
    let of = open(c"full");
    quotas();
    let mut words = [0u64; 32];
    for (what, request) in [
        ("flags", GETFLAGS), ("set flags", SETFLAGS), ("version", GETVERSION), ("extended", FSGETXATTR),
        ("set extended", FSSETXATTR), ("label", GETLABEL), ("set label", SETLABEL), ("freeze", FIFREEZE), ("thaw", FITHAW), ("trim", FITRIM),
        ("map", FIBMAP),
    ] {
        show(what, file::ioctl(fd, request, words.as_mut_ptr() as usize));
        show("  of a file", file::ioctl(of, request, words.as_mut_ptr() as usize));
    }
    0
}

/// Bytes that the process has had read from disks.
fn read_so_far() -> u64 {
    let text = file::slurp(c"/proc/self/io").unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let count = text.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// What readahead(2) has read is in memory, and isn't read again.
fn ahead() {
    const LEN: usize = 1 << 20;
    let fd = file::open_or_say(c"long", libc::O_RDWR | libc::O_CREAT, 0o644);
    let mut bytes = vec![1; LEN];
    let _ = file::pwrite(fd, &bytes, 0);
    let _ = file::fsync(fd);
    // SAFETY: neither call has pointers.
    let call = |number, args: [usize; 4]| unsafe { sys::call(number, [fd.arg(), args[0], args[1], args[2], args[3], 0]) };
    show("forget", call(libc::SYS_fadvise64, [0, 0, 4, 0]));
    let before = read_so_far();
    show("read ahead", call(libc::SYS_readahead, [0, LEN, 0, 0]));
    let ahead = read_so_far();
    let _ = file::pread(fd, &mut bytes, 0);
    say!("read: {} {}", ahead - before, read_so_far() - ahead);
    show("read ahead of nothing", call(libc::SYS_readahead, [LEN, LEN, 0, 0]));
    show("less than nothing", call(libc::SYS_readahead, [0, usize::MAX, 0, 0]));
}

pub(crate) fn run(arguments: &[&CStr]) -> i32 {
    let Some(directory) = arguments.first() else {
        say!("no disk");
        return 0;
    };
    show("enter", file::chdir(directory));
    file::make(c"empty", b"", 0o644);
    let fd = file::open_or_say(c"full", libc::O_RDWR | libc::O_CREAT, 0o644);
    let _ = file::pwrite(fd, &[1; 8192], 0);
    let _ = file::pwrite(fd, &[1; 8192], 65536);
    show("fsync", file::fsync(fd));
    let _ = file::close(fd);
    show("directory", file::mkdir(c"dir", 0o755));
    flags();
    projects();
    maps();
    versions();
    labels();
    trims();
    show("thaw", file::ioctl(open(c"."), FITHAW, 0));
    quotas();
    ahead();
    say!("{}", child::run(by_others));
    0
}
