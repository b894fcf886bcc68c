//! What exec makes of set-id bits and file capabilities (execve(2), capabilities(7)): who the program is, whether it is
//! told to be careful (AT_SECURE) and may be looked into; and that nobody gains who is watched, or wanted nothing.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{self, Arg, child, file, process, signal};
use std::ffi::CStr;

const ARGS: [&CStr; 3] = [c"x", c"--helper", c"rights"];

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let dir = Scratch::enter();
    let image = std::fs::read("/proc/self/exe").unwrap_or_default();
    // Name, mode, user, group.
    for (name, mode, user, group) in [
        (c"plain", 0o755, 0, 0),
        (c"user", 0o4755, 1000, 1000),
        (c"group", 0o2755, 1000, 1000),
        (c"group without x", 0o2745, 1000, 1000),
        (c"both", 0o6755, 1000, 1001),
        (c"root", 0o4755, 0, 0),
        (c"unreadable", 0o111, 1000, 1000),
        (c"able", 0o755, 0, 0),
        (c"unable", 0o755, 0, 0),
    ] {
        file::make(name, &image, 0o700);
        show("chown", file::chown(name, user, group));
        show("chmod", file::chmod(name, mode));
    }
    // CAP_KILL and CAP_NET_RAW: effective at once, and only to be inherited.
    show("capable", set_capabilities(c"able", 1, [1 << 5 | 1 << 13, 0]));
    show("inheritable", set_capabilities(c"unable", 0, [0, 1 << 5 | 1 << 13]));
    file::make(c"script", format!("#!{}/plain --helper\n", dir.path()).as_bytes(), 0o700);
    let _ = file::chmod(c"script", 0o6755);
    for name in [c"plain", c"user", c"group", c"both", c"root", c"unreadable", c"able", c"unable"] {
        say!("root, {name:?}: {}", child::run(|| exec(name)));
        say!("user, {name:?}: {}", child::run(|| as_user(|| exec(name))));
        say!("user who wants none, {name:?}: {}", child::run(|| as_user(|| {
            let _ = process::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            exec(name)
        })));
    }
    say!("group without x: {}", child::run(|| as_user(|| exec(c"group without x"))));
    say!("script: {}", child::run(|| as_user(|| exec_with(c"script", &[c"x", c"rights"]))));
    say!("without group rights: {}", child::run(|| {
        show("bounded", process::prctl(libc::PR_CAPBSET_DROP, 13, 0, 0, 0));
        as_user(|| exec(c"able"))
    }));
    others();
    given();
    0
}

fn others() {
    for (who, name) in [("directories shared", c"root"), ("directories shared", c"able")] {
        say!("{who}, {name:?}: {}", child::run(|| as_user(|| {
            let shared = child::start_on_stack(libc::CLONE_FS | libc::SIGCHLD, || exec(name));
            say!("{}", child::end_of(shared));
            0
        })));
    }
    for (who, rights) in [("root's child", 0), ("user's child", 1500)] {
        say!("traced, {who}: {}", child::run(|| {
            if rights != 0 {
                become_user();
            }
            let traced = child::start(|| {
                if rights == 0 {
                    become_user();
                }
                let _ = trace(libc::PTRACE_TRACEME, 0);
                let _ = signal::raise(libc::SIGSTOP);
                exec(c"root")
            });
            while child::wait(traced).is_ok_and(|status| libc::WIFSTOPPED(status.0)) {
                let _ = trace(libc::PTRACE_CONT, traced);
            }
            0
        }));
    }
    for (name, which) in [("effective user", 0), ("effective group", 1), ("no dump", 2), ("death signal", 3)] {
        say!("{name}: {}", child::run(|| {
            let _ = match which {
                0 => process::setreuid(u32::MAX, 1000),
                1 => process::setresgid(u32::MAX, 1000, u32::MAX),
                2 => process::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0),
                _ => process::prctl(libc::PR_SET_PDEATHSIG, 10, 0, 0, 0),
            };
            exec(c"plain")
        }));
    }
}

/// Who may give capabilities to a file, and what becomes of them with another owner.
fn given() {
    let name = c"given";
    file::make(name, b"", 0o755);
    let left = |what: &str, result: sys::Res| {
        show(what, result);
        show("there", file::getxattr(name, c"security.capability", &mut [0; 64]));
    };
    for (what, owner) in [("the same owner", u32::MAX), ("another owner", 1500)] {
        left("root gives", set_capabilities(name, 0, [1 << 13, 0]));
        left(what, file::chown(name, owner, owner));
    }
    let fd = file::open(name, libc::O_RDWR, 0).unwrap_or(0) as i32;
    let changes: [(&str, &dyn Fn() -> sys::Res); 5] = [
        ("read", &|| file::read(fd, &mut [0])),
        ("written", &|| file::write(fd, b"x")),
        ("cut", &|| file::ftruncate(fd, 0)),
        ("stretched", &|| file::fallocate(fd, 0, 0, 100)),
        ("opened anew", &|| file::openat(libc::AT_FDCWD, name, libc::O_WRONLY | libc::O_TRUNC, 0)),
    ];
    for (what, change) in changes {
        left("root gives", set_capabilities(name, 0, [1 << 13, 0]));
        left(what, change().map(|_| 0));
    }
    left("root gives", set_capabilities(name, 0, [1 << 13, 0]));
    say!("{}", child::run(|| as_user(|| {
        left("its owner gives", set_capabilities(name, 0, [1 << 12, 0]));
        left("its owner takes", file::removexattr(name, c"security.capability"));
        0
    })));
}

fn exec(name: &CStr) -> i32 {
    exec_with(name, &ARGS)
}

fn exec_with(name: &CStr, args: &[&CStr]) -> i32 {
    match process::execve(name, args, &[]) {
        Err(errno) => {
            say!("{errno}");
            errno.0
        }
        Ok(_) => 0,
    }
}

fn become_user() {
    let _ = process::setgroups(&[]);
    let _ = process::setresgid(1500, 1500, 1500);
    let _ = process::setresuid(1500, 1500, 1500);
}

fn as_user(run: impl FnOnce() -> i32) -> i32 {
    become_user();
    run()
}

fn trace(request: u32, pid: i32) -> sys::Res {
    // SAFETY: neither request passes memory.
    unsafe { sys::call(libc::SYS_ptrace, [request as usize, pid.arg(), 0, 0, 0, 0]) }
}

/// Sets `security.capability` (`struct vfs_cap_data`): permitted and inheritable ones below 32.
fn set_capabilities(name: &CStr, flags: u32, [permitted, inheritable]: [u32; 2]) -> sys::Res {
    let words = [0x0200_0000 | flags, permitted, inheritable, 0, 0].map(u32::to_le_bytes);
    file::setxattr(name, c"security.capability", words.as_flattened(), 0)
}
