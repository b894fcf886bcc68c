//! Given a directory on a disk: where its files end, what is told of the space that they take, and how much there is.
use crate::out::{say, show, show_ok};
use crate::sys::{Plain, file};
use std::ffi::CStr;

const TIB: i64 = 1 << 40;
/// The ends that ext4 has: of block maps and of extents, with blocks of 1 KiB and of 4 KiB.
const ENDS: [i64; 6] = [2 << 30, 0x4_0404_0000, (1 << 32) * 1024, 2 * TIB, 4 * TIB, 16 * TIB];

fn ends(fd: i32) {
    let mut last = 0;
    // The end is found by halving.
    let (mut low, mut high) = (0i64, i64::MAX);
    while low < high {
        let middle = low + (high - low) / 2 + 1;
        if file::lseek(fd, middle, libc::SEEK_SET).is_ok() {
            (low, last) = (middle, middle);
        } else {
            high = middle - 1;
        }
    }
    say!("seeks to {last}");
    show("beyond", file::lseek(fd, last + 1, libc::SEEK_SET));
    show("the end and more", file::lseek(fd, last, libc::SEEK_END));
    show("data beyond", file::lseek(fd, last + 1, libc::SEEK_DATA));
    show("hole beyond", file::lseek(fd, last + 1, libc::SEEK_HOLE));
    show("write at the end", file::pwrite(fd, b"x", last));
    show("write beyond", file::pwrite(fd, b"x", last.saturating_add(1)));
    show("write nothing there", file::pwrite(fd, b"", last.saturating_add(1)));
    show("read beyond", file::pread(fd, &mut [0; 4], last.saturating_add(1)));
    show("write over it", file::pwrite(fd, b"12345678", last - 3));
    show("truncate", file::ftruncate(fd, last));
    show("truncate beyond", file::ftruncate(fd, last.saturating_add(1)));
    show("truncate far beyond", file::ftruncate(fd, i64::MAX));
    show("back", file::ftruncate(fd, 0));
    show("allocate beyond", file::fallocate(fd, 0, last - 4095, 8192));
    show("allocate far beyond", file::fallocate(fd, 0, i64::MAX - 4095, 4095));
    show("allocate too far", file::fallocate(fd, 0, i64::MAX, 1));
    show("punch beyond", file::fallocate(fd, 3, last - 4095, 8192));
    show("zero beyond", file::fallocate(fd, 0x10, last - 4095, 8192));
    show("insert beyond", file::fallocate(fd, 0x20, 0, last & !4095));
    for end in ENDS {
        let _ = file::ftruncate(fd, 0);
        show(&format!("at {end}"), file::pwrite(fd, b"x", end - 1));
    }
    show("back", file::ftruncate(fd, 0));
    let mut source = -1;
    show_ok("another", file::open(c"other", libc::O_RDWR | libc::O_CREAT, 0o600).map(|n| source = n as i32));
    let _ = file::pwrite(source, &[1; 100], 0);
    let (mut from, mut to) = (0i64, last.saturating_add(1));
    show("copied beyond", file::copy_file_range(source, Some(&mut from), fd, Some(&mut to), 100, 0));
    let _ = file::close(source);
}

fn blocks(fd: i32, what: &str) {
    let mut stat = libc::stat::zeroed();
    let _ = file::fstat(fd, &mut stat);
    say!("{what}: {} bytes in {} sectors", stat.st_size, stat.st_blocks);
}

/// Space that is promised, allocated, or both.
fn space(fd: i32) {
    let page = [7; 4096];
    for at in 0..8 {
        let _ = file::pwrite(fd, &page, at * 4096);
    }
    blocks(fd, "written");
    show("allocated", file::fallocate(fd, 0, 0, 32768));
    blocks(fd, "written and allocated");
    show("allocated again", file::fallocate(fd, 0, 0, 65536));
    blocks(fd, "twice as much");
    show("fsync", file::fsync(fd));
    blocks(fd, "synced");
    show("punched", file::fallocate(fd, 3, 8192, 16384));
    blocks(fd, "with a hole");
    for at in 2..6 {
        let _ = file::pwrite(fd, &page, at * 4096);
    }
    blocks(fd, "filled again");
    show("cut", file::ftruncate(fd, 8192));
    blocks(fd, "cut");
    show("fsync", file::fsync(fd));
    blocks(fd, "synced");
    show("cut", file::ftruncate(fd, 0));
    blocks(fd, "empty");
    let _ = file::pwrite(fd, &page, 0);
    show("cut before it is written", file::ftruncate(fd, 0));
    blocks(fd, "empty");
    let _ = file::pwrite(fd, &page, 40960);
    blocks(fd, "far");
    show("punched before it is written", file::fallocate(fd, 3, 40960, 4096));
    blocks(fd, "none");
    show("punched in a hole", file::fallocate(fd, 3, 20000, 3000));
    blocks(fd, "still none");
}

fn numbers(what: &str) {
    let mut s = libc::statfs::zeroed();
    show(what, file::statfs(c".", &mut s));
    say!("  block {} of {}, free {}, for all {}", s.f_bsize, s.f_blocks, s.f_bfree, s.f_bavail);
    say!("  files {} free {}, names {}, fragments {}", s.f_files, s.f_ffree, s.f_namelen, s.f_frsize);
}

pub(crate) fn run(arguments: &[&CStr]) -> i32 {
    let Some(directory) = arguments.first() else {
        say!("no disk");
        return 0;
    };
    show("enter", file::chdir(directory));
    numbers("at first");
    let fd = file::open_or_say(c"limits", libc::O_RDWR | libc::O_CREAT, 0o600);
    ends(fd);
    let _ = file::ftruncate(fd, 0);
    space(fd);
    let _ = file::close(fd);
    show("unlink", file::unlink(c"limits"));
    show("unlink", file::unlink(c"other"));
    file::sync().map(drop).unwrap_or_default();
    numbers("afterwards");
    0
}
