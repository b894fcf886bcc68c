//! Links that others have made, in directories like `/tmp`, and more names for others' files: what
//! `fs.protected_symlinks` and `fs.protected_hardlinks` refuse (proc(5)).
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::{Res, child, file, process};
use std::ffi::CStr;
use std::fs;

const SETTINGS: [&str; 2] = ["/proc/sys/fs/protected_symlinks", "/proc/sys/fs/protected_hardlinks"];

fn set(text: &str) {
    for path in SETTINGS {
        let _ = fs::write(path, text);
    }
}

fn as_user(user: u32, act: impl FnOnce() -> Res) -> String {
    let end = child::run(|| {
        let _ = process::setresuid(user, user, user);
        act().map_or_else(|errno| errno.0, |_| 0)
    });
    end.to_string()
}

fn symlinks() {
    for (mode, owner) in [(0o1777, 0), (0o1777, 500), (0o777, 500), (0o1755, 500)] {
        for maker in [0, 500, 1000] {
            let _ = file::mkdir(c"d", 0o700);
            file::make(c"d/f", b"x", 0o666);
            let _ = file::mkdir(c"d/s", 0o755);
            file::make(c"d/s/f", b"x", 0o666);
            for (text, name) in [(c"f", c"d/link"), (c"s", c"d/way"), (c"d/link", c"round")] {
                let _ = file::symlink(text, name);
                let _ = file::lchown(name, maker, maker);
            }
            let _ = file::chown(c"d", owner, owner);
            let _ = file::chmod(c"d", mode);
            for user in [0, 500, 1000, 7] {
                let open = |path: &'static CStr| as_user(user, || file::open(path, libc::O_RDONLY, 0));
                let stat = as_user(user, || file::access(c"d/link", 0));
                say!(
                    "{mode:o} {owner} {maker} {user}: at the end {} {stat}, behind a slash {}, on the way {}, by another {}",
                    open(c"d/link"),
                    open(c"d/way/"),
                    open(c"d/way/f"),
                    open(c"round")
                );
            }
            let _ = fs::remove_dir_all("d");
            let _ = fs::remove_file("round");
        }
    }
}

fn hardlinks() {
    let _ = file::chmod(c".", 0o777);
    for mode in [0o600, 0o644, 0o666, 0o4666, 0o2666, 0o2676, 0o444] {
        file::make(c"f", b"x", 0o600);
        let _ = file::chown(c"f", 500, 500);
        let _ = file::chmod(c"f", mode);
        for user in [0, 500, 7] {
            say!("{mode:o} {user}: {}", as_user(user, || file::link(c"f", c"g")));
            let _ = file::unlink(c"g");
        }
        let _ = file::unlink(c"f");
    }
    let _ = file::mknod(c"p", libc::S_IFIFO | 0o666, 0);
    let _ = file::chmod(c"p", 0o666);
    say!("a pipe: {} {}", as_user(7, || file::link(c"p", c"q")), as_user(0, || file::link(c"p", c"q")));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let before = SETTINGS.map(|path| fs::read_to_string(path).unwrap_or_default());
    for text in ["0", "1"] {
        set(text);
        for path in SETTINGS {
            say!("{:?} {:?}", fs::read_to_string(path).ok(), fs::write(path, "2").err().and_then(|error| error.raw_os_error()));
        }
        symlinks();
        hardlinks();
    }
    for (path, text) in SETTINGS.iter().zip(&before) {
        let _ = fs::write(path, text);
    }
    0
}
