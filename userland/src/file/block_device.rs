//! What a disk answers (linux/fs.h, linux/hdreg.h) and how parts of it become zeroes: given one, of that; of what is none, otherwise.
use crate::out::{say, show, show_ok};
use crate::sys::{self, Arg, Res, file};
use std::ffi::CStr;

const ASKED: [(&str, usize); 16] = [
    ("BLKROGET", 0x125E),
    ("BLKGETSIZE", 0x1260),
    ("BLKRAGET", 0x1263),
    ("BLKFRAGET", 0x1265),
    ("BLKSSZGET", 0x1268),
    ("BLKBSZGET", 0x8008_1270),
    ("BLKGETSIZE64", 0x8008_1272),
    ("BLKIOMIN", 0x1278),
    ("BLKIOOPT", 0x1279),
    ("BLKALIGNOFF", 0x127A),
    ("BLKPBSZGET", 0x127B),
    ("BLKDISCARDZEROES", 0x127C),
    ("BLKROTATIONAL", 0x127E),
    ("HDIO_GETGEO", 0x301),
    ("BLKGETZONESZ", 0x8004_1284),
    ("BLKGETNRZONES", 0x8004_1285),
];
const CHANGED: [(&str, usize); 3] = [("BLKDISCARD", 0x1277), ("BLKZEROOUT", 0x127F), ("BLKSECDISCARD", 0x127D)];
const BLKROSET: usize = 0x125D;
const BLKRRPART: usize = 0x125F;
const BLKFLSBUF: usize = 0x1261;
const BLKRASET: usize = 0x1262;
const BLKBSZSET: usize = 0x4008_1271;

fn ioctl(fd: i32, request: usize, words: &mut [u64; 4]) -> Res {
    // SAFETY: none of these writes more than the words hold.
    unsafe { sys::call(libc::SYS_ioctl, [fd.arg(), request, words.as_mut_ptr() as usize, 0, 0, 0]) }
}

fn set(fd: i32, request: usize, value: usize) -> Res {
    // SAFETY: the value is a number to it.
    unsafe { sys::call(libc::SYS_ioctl, [fd.arg(), request, value, 0, 0, 0]) }
}

fn ask(fd: i32) {
    for (name, request) in ASKED {
        let mut words = [0; 4];
        let done = ioctl(fd, request, &mut words);
        show(name, done);
        if done.is_ok() {
            say!("  {:#x} {:#x}", words[0], words[1]);
        }
    }
}

fn change(fd: i32) {
    for (name, request) in CHANGED {
        for (start, length) in [(4096, 8192), (512, 1024), (100, 512), (512, 100), (1 << 40, 512), (512, 1 << 62), (512, 0)] {
            show(&format!("{name} {start} {length}"), ioctl(fd, request, &mut [start, length, 0, 0]));
        }
    }
    for mode in [0, 1, 2, 3, 8, 16, 17, 32] {
        show(&format!("fallocate {mode}"), file::fallocate(fd, mode, 8192, 4096));
    }
    show("fallocate across", file::fallocate(fd, 3, 8000, 4096));
}

fn shape(fd: i32) {
    let mut words = [0; 4];
    for size in [512, 777, 8192, 4096] {
        let done = ioctl(fd, BLKBSZSET, &mut [size, 0, 0, 0]);
        show(&format!("BLKBSZSET {size}"), done);
        show("  get", ioctl(fd, 0x8008_1270, &mut words));
        say!("  {}", words[0]);
    }
    show("BLKRASET", set(fd, BLKRASET, 512));
    show("  get", ioctl(fd, 0x1263, &mut words));
    say!("  {}", words[0]);
    show("BLKRASET", set(fd, BLKRASET, 256));
    show("BLKFLSBUF", set(fd, BLKFLSBUF, 0));
    show("BLKRRPART", set(fd, BLKRRPART, 0));
    for (offset, whence) in [(0, 3), (0, 4), (512, 0), (1 << 40, 0), (0, 2), (1, 2)] {
        show(&format!("seek {offset} {whence}"), file::lseek(fd, offset, whence));
    }
}

/// Bytes that are there, some that became zeroes, and what can't be written.
fn contents(fd: i32) {
    let mut page = [0; 4096];
    show("fill", file::pwrite(fd, &[7; 16384], 0));
    show("zero", ioctl(fd, 0x127F, &mut [512, 5120, 0, 0]));
    for page_number in 0..4 {
        show("read", file::pread(fd, &mut page, page_number * 4096));
        say!("  {} zeroes", page.iter().filter(|byte| **byte == 0).count());
    }
    show("BLKROSET", ioctl(fd, BLKROSET, &mut [1, 0, 0, 0]));
    show("write", file::pwrite(fd, b"x", 0));
    show("BLKZEROOUT", ioctl(fd, 0x127F, &mut [512, 512, 0, 0]));
    show("BLKDISCARD", ioctl(fd, 0x1277, &mut [512, 512, 0, 0]));
    show("fallocate", file::fallocate(fd, 3, 4096, 4096));
    show("BLKROSET", ioctl(fd, BLKROSET, &mut [0, 0, 0, 0]));
    show("write", file::pwrite(fd, b"x", 0));
}

pub(crate) fn run(args: &[&CStr]) -> i32 {
    let Some(device) = args.first() else {
        for name in [c"/dev/null", c"/proc/self/exe", c"/"] {
            say!("{}", name.to_string_lossy());
            let fd = file::open_or_say(name, libc::O_RDONLY, 0);
            ask(fd);
            shape_of_none(fd);
        }
        return 0;
    };
    for flags in [libc::O_RDONLY, libc::O_RDWR] {
        say!("opened by {flags}");
        let fd = file::open_or_say(device, flags, 0);
        ask(fd);
        change(fd);
        shape(fd);
        if flags != libc::O_RDONLY {
            contents(fd);
        }
        show_ok("fsync", file::fsync(fd));
        let _ = file::close(fd);
    }
    0
}

fn shape_of_none(fd: i32) {
    for (name, request) in CHANGED {
        show(name, ioctl(fd, request, &mut [0, 4096, 0, 0]));
    }
    show("BLKRASET", set(fd, BLKRASET, 512));
    show("BLKFLSBUF", set(fd, BLKFLSBUF, 0));
    show("BLKRRPART", set(fd, BLKRRPART, 0));
    show("BLKROSET", ioctl(fd, BLKROSET, &mut [0, 0, 0, 0]));
}
