//! name_to_handle_at(2) and open_by_handle_at(2): a file is found by its handle whatever its name, until it is gone.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{self, Arg, Plain, Res, file, process};
use std::ffi::CStr;

/// `struct file_handle` with room.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    handle: [u8; 128],
}

impl Handle {
    fn new(bytes: u32) -> Self {
        Self { bytes, kind: 0, handle: [0; 128] }
    }

    fn name(&mut self, dir: i32, path: &CStr, flags: i32) -> Res {
        let mut mount = 0i32;
        let (at, id) = ((&raw mut *self) as usize, (&raw mut mount) as usize);
        let args = [dir as usize, path.arg(), at, id, flags as usize, 0];
        // SAFETY: the kernel writes a handle and a number.
        unsafe { sys::call(libc::SYS_name_to_handle_at, args) }
    }

    fn open(&self, mount: i32, flags: i32) -> Res {
        let at = (&raw const *self) as usize;
        // SAFETY: the kernel reads a handle.
        unsafe { sys::call(libc::SYS_open_by_handle_at, [mount as usize, at, flags as usize, 0, 0, 0]) }
    }
}

fn number(path: &CStr) -> u64 {
    let mut stat = libc::stat::zeroed();
    let _ = file::lstat(path, &mut stat);
    stat.st_ino
}

fn number_of(fd: Res) -> u64 {
    let mut stat = libc::stat::zeroed();
    match fd {
        Ok(fd) => {
            let _ = file::fstat(fd as i32, &mut stat);
            stat.st_ino
        }
        Err(_) => 0,
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _scratch = Scratch::enter();
    let here = libc::AT_FDCWD;
    file::make(c"f", b"text", 0o600);
    show("mkdir", file::mkdirat(here, c"d", 0o700));
    show("symlink", file::symlinkat(c"f", here, c"l"));
    let mut small = Handle::new(0);
    show("no room", small.name(here, c"f", 0));
    say!("wants some: {}", small.bytes > 0 && small.bytes < 128);
    let mut handles = [c"f", c"d", c"l"].map(|path| {
        let mut handle = Handle::new(128);
        show("name", handle.name(here, path, 0));
        say!("kind {} length {}", handle.kind > 0, handle.bytes == small.bytes);
        handle
    });
    show("followed", Handle::new(128).name(here, c"l", libc::AT_SYMLINK_FOLLOW));
    show("too much room", Handle::new(129).name(here, c"f", 0));
    show("nothing", Handle::new(128).name(here, c"none", 0));
    show("flags", Handle::new(128).name(here, c"f", 0x40));
    show("empty", Handle::new(128).name(here, c"", 0));
    show("of /proc", Handle::new(128).name(here, c"/proc/self/stat", 0));
    let fd = handles[0].open(here, libc::O_RDONLY);
    say!("the file {}", number_of(fd) == number(c"f"));
    show("rename", file::renameat2(here, c"f", here, c"d/g", 0));
    let fd = handles[0].open(here, libc::O_RDWR);
    say!("the same {}", number_of(fd) == number(c"d/g"));
    show("write", file::write(fd.unwrap_or(0) as i32, b"TE"));
    say!("{}", file::text(c"d/g"));
    let dir = handles[1].open(here, libc::O_RDONLY | libc::O_DIRECTORY);
    say!("the directory {}", number_of(dir) == number(c"d"));
    show("made in it", file::mkdirat(dir.unwrap_or(0) as i32, c"sub", 0o700));
    say!("seen {}", number(c"d/sub") != 0);
    show("link to read", handles[2].open(here, libc::O_RDONLY));
    show("as a directory", handles[0].open(here, libc::O_DIRECTORY));
    show("no mount", handles[0].open(99, libc::O_RDONLY));
    handles[0].bytes = 0;
    show("no bytes", handles[0].open(here, libc::O_RDONLY));
    handles[0].bytes = 129;
    show("many bytes", handles[0].open(here, libc::O_RDONLY));
    handles[0].bytes = small.bytes;
    for fd in [fd, dir].into_iter().flatten() {
        let _ = file::close(fd as i32);
    }
    show("unlink", file::unlinkat(here, c"l", 0));
    show("gone", handles[2].open(here, libc::O_PATH));
    let _ = process::setuid(65534);
    show("anybody", handles[1].open(here, libc::O_RDONLY));
    0
}
