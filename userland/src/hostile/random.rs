//! Seeded mixes of hostile arguments for every number, `random [root] [SEED]`: nothing is said of
//! the answers, but the machine must be there afterwards. `root` keeps the rights, and is for a
//! machine of one's own.
use super::arena::{self, CLOSED, HERE, OPEN, VALUES};
use super::worker::{self, Call};
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys;
use std::ffi::CStr;

/// Mixes for each number.
const MIXES: usize = 48;

pub(crate) fn run(args: &[&CStr]) -> i32 {
    let privileged = args.contains(&c"root");
    let seed = args.iter().find_map(|arg| arg.to_str().ok()?.parse::<u64>().ok());
    let mut random = Random(seed.unwrap_or(0x5EED));
    let dir = Scratch::enter();
    // SAFETY: touches no memory.
    let _ = unsafe { sys::call(libc::SYS_unshare, [libc::CLONE_NEWIPC as usize, 0, 0, 0, 0, 0]) };
    if let Err(errno) = arena::map() {
        say!("arena: {errno}");
        return 1;
    }
    if let Ok(name) = std::ffi::CString::new(dir.path()) {
        let _ = sys::file::chown(&name, worker::user(), worker::user());
    }
    let mut made = 0;
    for number in (0..1024).filter(|number| !is_left_out(*number, privileged)) {
        let mixes = if number < 480 { MIXES } else { 4 };
        let calls: Vec<Call> = (0..mixes).map(|_| random.call(number)).collect();
        let answers = worker::run(&calls, privileged);
        made += answers.len();
        if answers.iter().any(|answer| answer == "hangs") {
            say!("{number}: hangs");
        }
    }
    say!("{made} calls made, and still here");
    0
}

/// vfork's child would return on its parent's stack; exit has nothing to tell; and with rights,
/// signals would reach this program.
fn is_left_out(number: usize, privileged: bool) -> bool {
    let signals = [
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_tgkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
    ];
    let number = number as i64;
    [libc::SYS_vfork, libc::SYS_exit, libc::SYS_exit_group].contains(&number)
        || privileged && signals.contains(&number)
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) as usize
    }

    fn call(&mut self, number: usize) -> Call {
        let args = std::array::from_fn(|_| self.argument());
        Call { number, args }
    }

    fn argument(&mut self) -> usize {
        let pick = self.next();
        match pick % 10 {
            0..4 => VALUES[(pick / 10) % VALUES.len()],
            4 | 5 => (pick / 10) % (OPEN.end + 2),
            6 => 1 << ((pick / 10) % 64),
            7 => [HERE, CLOSED, 4096, 8, 16, 24][(pick / 10) % 6],
            8 => self.next(),
            _ => arena::PAGE + (pick / 10) % 4096,
        }
    }
}
