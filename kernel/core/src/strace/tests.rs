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
    let ram = Ram(0x1000, ram.to_vec());
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
