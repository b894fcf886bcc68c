//! Lines held against what strace prints on Linux.

use super::*;
use std::vec::Vec;

struct Ram(u64, Vec<u8>);

impl Memory for Ram {
    fn read(&self, address: u64, buffer: &mut [u8]) -> bool {
        let Some(at) = address.checked_sub(self.0) else {
            return false;
        };
        let at = at as usize;
        let Some(bytes) = self.1.get(at..at + buffer.len()) else {
            return false;
        };
        buffer.copy_from_slice(bytes);
        true
    }
}

fn line(name: &str, args: &[Arg], values: [u64; 6], outcome: Outcome, ram: &[u8]) -> String {
    let call = RawCall {
        name,
        args,
        values,
        outcome,
    };
    // Memory comes in pages.
    let mut page = ram.to_vec();
    page.resize(4096, 0);
    let ram = Ram(0x1000, page);
    // By way of the message, as in earnest.
    let (mut before, mut after) = (Pieces::default(), Pieces::default());
    collect(args, values, Phase::Before, &ram, &mut before);
    let answer = match outcome {
        Outcome::Value(value) => value,
        Outcome::Error(errno) => errno.to_return(),
        Outcome::None => 0,
    };
    collect(args, values, Phase::After(answer), &ram, &mut after);
    let traced = Traced {
        tid: 2,
        number: 0,
        outcome,
        values,
    };
    let message = traced.encode(&before, &after).unwrap();
    let (again, before, after) = Traced::decode(&message).unwrap();
    assert_eq!((again.outcome, again.values), (outcome, values));
    format_call("", &call, &before, &after)
}

#[test]
fn read_shows_what_was_read() {
    let args = [Arg::Fd, Arg::Out, Arg::Size];
    let values = [3, 0x1000, 832, 0, 0, 0];
    let ram = b"\x7fELF\x021\n";
    assert_eq!(
        line("read", &args, values, Outcome::Value(7), ram),
        r#"read(3, "\177ELF\0021\n", 832)          = 7"#
    );
    assert_eq!(
        line("read", &args, values, Outcome::Error(Errno::EBADF), ram),
        "read(3, 0x1000, 832)                    = -1 EBADF (Bad file descriptor)"
    );
}

#[test]
fn openat_hides_the_mode_without_creat() {
    let args = [Arg::DirFd, Arg::Path, Arg::OpenFlags, Arg::Mode];
    let at_cwd = u64::from((-100i32) as u32);
    assert_eq!(
        line(
            "openat",
            &args,
            [at_cwd, 0x1000, 0o2_000_000, 7, 0, 0],
            Outcome::Value(3),
            b"/x\0"
        ),
        r#"openat(AT_FDCWD, "/x", O_RDONLY|O_CLOEXEC) = 3"#
    );
    assert_eq!(
        line(
            "openat",
            &args,
            [at_cwd, 0x1000, 0o101, 0o644, 0, 0],
            Outcome::Value(3),
            b"/x\0"
        ),
        r#"openat(AT_FDCWD, "/x", O_WRONLY|O_CREAT, 0644) = 3"#
    );
}

#[test]
fn signals_and_sets() {
    let args = [Arg::SigHow, Arg::SigSet, Arg::SigSetOut, Arg::Size];
    let mut ram = 0x1_0002u64.to_le_bytes().to_vec();
    ram.extend((!(1u64 << 31) & !(1 << 32)).to_le_bytes());
    assert_eq!(
        line(
            "rt_sigprocmask",
            &args,
            [0, 0x1000, 0x1008, 8, 0, 0],
            Outcome::Value(0),
            &ram
        ),
        "rt_sigprocmask(SIG_BLOCK, [INT CHLD], ~[RTMIN RT_1], 8) = 0"
    );
    assert_eq!(
        line(
            "kill",
            &[Arg::Pid, Arg::Signal],
            [7, 9, 0, 0, 0, 0],
            Outcome::Value(0),
            b""
        ),
        "kill(7, SIGKILL)                        = 0"
    );
}

#[test]
fn calls_that_do_not_return() {
    assert_eq!(
        line(
            "exit_group",
            &[Arg::Int],
            [3, 0, 0, 0, 0, 0],
            Outcome::None,
            b""
        ),
        "exit_group(3)                           = ?"
    );
}

#[test]
fn wait_statuses() {
    let args = [Arg::Pid, Arg::WaitStatus, Arg::WaitOptions, Arg::Ptr];
    let shown = |status: u32| {
        let values = [u64::MAX, 0x1000, 0, 0, 0, 0];
        line(
            "wait4",
            &args,
            values,
            Outcome::Value(5),
            &status.to_le_bytes(),
        )
    };
    assert_eq!(
        shown(0x300),
        "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = 5"
    );
    assert!(shown(0x8B).contains("WTERMSIG(s) == SIGSEGV && WCOREDUMP(s)"));
    assert!(shown(0x137F).contains("WSTOPSIG(s) == SIGSTOP"));
}

#[test]
fn umask_is_octal() {
    assert_eq!(
        line(
            "umask",
            &[Arg::Mode],
            [0o22, 0, 0, 0, 0, 0],
            Outcome::Value(0),
            b""
        ),
        "umask(022)                              = 000"
    );
}

#[test]
fn interrupted_calls_have_no_answer() {
    let args = [Arg::Fd, Arg::Out, Arg::Size];
    assert_eq!(
        line(
            "read",
            &args,
            [0, 0x1000, 9, 0, 0, 0],
            Outcome::Error(Errno::ERESTARTSYS),
            b""
        ),
        "read(0, 0x1000, 9)                      = ? ERESTARTSYS (To be restarted if SA_RESTART is set)"
    );
}

#[test]
fn arguments_of_clone_have_names() {
    let args = [Arg::CloneFlags, Arg::Ptr, Arg::IntOut, Arg::Ptr, Arg::Hex];
    assert_eq!(
        line(
            "clone",
            &args,
            [0x0120_0011, 0, 0, 0x1000, 0, 0],
            Outcome::Value(9),
            b""
        ),
        "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x1000) = 9"
    );
}

#[test]
fn addresses_of_sockets() {
    let args = [Arg::Fd, Arg::SockAddr, Arg::Int];
    let call = |ram: &[u8]| {
        let values = [3, 0x1000, ram.len() as u64, 0, 0, 0];
        let line = line("bind", &args, values, Outcome::Value(0), ram);
        String::from(line.trim_end_matches("= 0").trim_end())
    };
    assert_eq!(
        call(&[2, 0, 0, 80, 127, 0, 0, 1]),
        r#"bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 8)"#
    );
    assert_eq!(
        call(b"\x01\0/tmp/s\0"),
        r#"bind(3, {sa_family=AF_UNIX, sun_path="/tmp/s"}, 9)"#
    );
    assert_eq!(
        call(b"\x01\0\0abs"),
        r#"bind(3, {sa_family=AF_UNIX, sun_path=@"abs"}, 6)"#
    );
}

#[test]
fn sets_go_in_and_come_out() {
    let args = [Arg::Int, Arg::FdSet, Arg::FdSet, Arg::FdSet, Arg::Timeval];
    let mut ram = [0; 32];
    ram[0] = 0b1000;
    assert_eq!(
        line(
            "select",
            &args,
            [4, 0x1000, 0, 0, 0x1010, 0],
            Outcome::Value(1),
            &ram
        ),
        "select(4, [3], NULL, NULL, {tv_sec=0, tv_usec=0}) = 1 (in [3], left {tv_sec=0, tv_usec=0})"
    );
}

#[test]
fn dates() {
    let args = [Arg::DirFd, Arg::Path, Arg::Timespecs, Arg::AtFlags];
    let mut ram = [0; 32];
    ram[..8].copy_from_slice(&951_782_400_u64.to_le_bytes());
    ram[24..28].copy_from_slice(&0x3FFF_FFFE_u32.to_le_bytes());
    assert_eq!(
        line(
            "utimensat",
            &args,
            [4, 0, 0x1000, 0, 0, 0],
            Outcome::Value(0),
            &ram
        ),
        "utimensat(4, NULL, [{tv_sec=951782400, tv_nsec=0} /* 2000-02-29T00:00:00+0000 */, UTIME_OMIT], 0) = 0"
    );
}

/// Whatever the arguments are, there is a line, and nothing is read out of bounds.
#[test]
fn no_argument_is_too_odd() {
    let kinds = [
        Arg::In,
        Arg::Out,
        Arg::Path,
        Arg::IoVec,
        Arg::IoVecOut,
        Arg::Argv,
        Arg::Envp,
        Arg::Dirents,
        Arg::PollFds,
        Arg::FdSet,
        Arg::EpollEvents,
        Arg::MsgHdr,
        Arg::MsgHdrOut,
        Arg::SockAddr,
        Arg::SockAddrOut,
        Arg::LenPtr,
        Arg::SockOpt,
        Arg::CpuSet,
        Arg::Groups,
        Arg::CloneArgs,
        Arg::IoctlArg,
        Arg::FcntlArg,
        Arg::PrctlArg,
        Arg::Statx,
        Arg::SigInfo,
    ];
    let ram: Vec<u8> = (0..200_u32).map(|i| (i * 37 % 251) as u8).collect();
    for kind in kinds {
        for value in [0, 1, 0x1000, 0x10C0, 0x10C7, u64::MAX, 1 << 63] {
            for len in [0, 1, 33, 0x1000, u64::MAX] {
                let args = [kind, Arg::Size, Arg::Hex];
                for outcome in [Outcome::Value(len), Outcome::Error(Errno::EFAULT)] {
                    let line = line("x", &args, [value, len, value, 0, 0, 0], outcome, &ram);
                    assert!(line.starts_with("x("), "{line}");
                }
            }
        }
    }
}
