//! Where files lie on their device (`FS_IOC_FIEMAP`): in memory nowhere; given a directory on a disk, by pieces.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{self, Arg, Res, file};
use std::ffi::CStr;

const FS_IOC_FIEMAP: usize = 0xC020_660B;
const SYNC: u32 = 1;
const ROOM: usize = 16;

/// `struct fiemap` with its pieces.
#[repr(C)]
#[derive(Default)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    room: u32,
    reserved: u32,
    pieces: [Piece; ROOM],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Piece {
    logical: u64,
    physical: u64,
    length: u64,
    reserved: [u64; 2],
    flags: u32,
    more: [u32; 3],
}

fn ask(fd: i32, start: u64, length: u64, flags: u32, room: u32) -> (Res, Fiemap) {
    let mut map = Fiemap { start, length, flags, room, ..Fiemap::default() };
    // SAFETY: room for as many pieces as are asked for, or the call refuses their number.
    let done = unsafe { sys::call(libc::SYS_ioctl, [fd.arg(), FS_IOC_FIEMAP, &raw mut map as usize, 0, 0, 0]) };
    (done, map)
}

fn tell(what: &str, (done, map): (Res, Fiemap)) {
    show(what, done);
    say!("  flags {:#x} mapped {} from {} length {}", map.flags, map.mapped, map.start, map.length);
    let told = if map.room == 0 { 0 } else { map.mapped as usize };
    for piece in map.pieces.iter().take(told) {
        say!("  {} +{} flags {:#x} placed {}", piece.logical, piece.length, piece.flags, piece.physical.is_multiple_of(4096) && piece.physical > 0);
    }
}

fn make(name: &CStr, fill: impl FnOnce(i32)) {
    let fd = file::open_or_say(name, libc::O_RDWR | libc::O_CREAT, 0o600);
    fill(fd);
    say!("{}", name.to_string_lossy());
    tell("all", ask(fd, 0, u64::MAX, SYNC, 16));
    tell("counted", ask(fd, 0, u64::MAX, SYNC, 0));
    tell("one", ask(fd, 0, u64::MAX, SYNC, 1));
    tell("within", ask(fd, 5000, 4096, SYNC, 16));
    tell("far", ask(fd, 1 << 40, 1, SYNC, 16));
    let _ = file::close(fd);
}

fn on_a_disk() {
    let page = |fd: i32, at: i64| {
        let _ = file::pwrite(fd, &[7; 4096], at);
    };
    make(c"empty", |_| ());
    make(c"three", |fd| (0..3).for_each(|at| page(fd, at * 4096)));
    make(c"holes", |fd| [0, 1 << 20, 3 << 20].into_iter().for_each(|at| page(fd, at)));
    make(c"reserved", |fd| {
        // SAFETY: no pointers.
        show("fallocate", unsafe { sys::call(libc::SYS_fallocate, [fd.arg(), 1, 0, 65536, 0, 0]) });
        page(fd, 16384);
    });
    let fd = file::open_or_say(c"three", libc::O_RDWR, 0);
    refusals(fd);
    // What lies there is what was written: two blocks side by side in the file are so on the disk.
    let (_, map) = ask(fd, 0, u64::MAX, SYNC, 16);
    let (_, second) = ask(fd, 4096, 1, SYNC, 16);
    say!("next to it {}", second.pieces[0].physical.wrapping_sub(map.pieces[0].physical));
}

fn refusals(fd: i32) {
    tell("nothing", ask(fd, 0, 0, SYNC, 1));
    tell("unknown", ask(fd, 0, 4096, 0x8000_0010, 1));
    tell("too far", ask(fd, 1 << 60, 1, SYNC, 1));
    tell("too many", ask(fd, 0, 1, SYNC, u32::MAX));
    // SAFETY: no pointer at all.
    show("no structure", unsafe { sys::call(libc::SYS_ioctl, [fd.arg(), FS_IOC_FIEMAP, 0, 0, 0, 0]) });
}

pub(crate) fn run(args: &[&CStr]) -> i32 {
    if let Some(directory) = args.first() {
        show("directory", file::chdir(directory));
        on_a_disk();
        return 0;
    }
    let _dir = Scratch::enter();
    let fd = file::open_or_say(c"/dev/shm/extents", libc::O_RDWR | libc::O_CREAT, 0o600);
    let _ = file::unlink(c"/dev/shm/extents");
    refusals(fd);
    let (read, _) = file::pipe();
    show("pipe", ask(read, 0, 1, 0, 1).0);
    let null = file::open_or_say(c"/dev/null", libc::O_RDWR, 0);
    show("device", ask(null, 0, 1, 0, 1).0);
    0
}
