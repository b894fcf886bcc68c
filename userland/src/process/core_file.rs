//! core(5): what a fatal signal leaves in the working directory, up to RLIMIT_CORE, and what isn't in it
//! (`MADV_DONTDUMP`). Hosts that have their cores elsewhere are believed.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::memory::{Map, madvise};
use crate::sys::{Plain, child, file, process, signal, time};
use std::ffi::CStr;

const PAGE: usize = 4096;

/// What a core file has in it, as its headers tell.
pub(super) struct Core(Vec<u8>);

/// The file, when there is one; it is gone then.
pub(super) fn core() -> Option<Core> {
    let core = file::slurp(c"core").ok();
    let _ = file::unlink(c"core");
    core.map(Core)
}

/// Whether this machine has its cores where the program was.
pub(super) fn are_here() -> bool {
    let is = |path, text: &[u8]| file::slurp(path).is_ok_and(|found| found == text);
    is(c"/proc/sys/kernel/core_pattern", b"core\n") && is(c"/proc/sys/kernel/core_uses_pid", b"0\n")
}

pub(super) fn limit(bytes: u64) {
    let limit = libc::rlimit64 { rlim_cur: bytes, rlim_max: u64::MAX };
    let _ = process::setrlimit(libc::RLIMIT_CORE, &limit);
}

pub(super) fn word<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word[..N].copy_from_slice(&bytes[at..at + N]);
    u64::from_le_bytes(word)
}

impl Core {
    /// Kind, place in the file, address and size there of each program header.
    fn headers(&self) -> impl Iterator<Item = [u64; 4]> {
        let (core, first) = (&self.0, word::<8>(&self.0, 32) as usize);
        (0..word::<2>(core, 56) as usize).map(move |index| {
            let field = |at| word::<8>(core, first + 56 * index + at);
            [field(0) & 0xFFFF, field(8), field(16), field(32)]
        })
    }

    /// Bytes at an address.
    pub(super) fn at(&self, address: u64, len: usize) -> Option<&[u8]> {
        self.headers().find_map(|[kind, offset, start, size]| {
            let inside = kind == 1 && (start..start + size).contains(&address);
            let from = (offset + address.wrapping_sub(start)) as usize;
            inside.then(|| self.0.get(from..from + len))?
        })
    }

    /// Kind and contents of each note.
    pub(super) fn notes(&self) -> Vec<(u64, &[u8])> {
        let mut notes = Vec::new();
        let is_notes = |header: &[u64; 4]| header[0] == 4;
        let Some([_, at, _, size]) = self.headers().find(is_notes) else { return notes };
        let (mut at, end) = (at as usize, (at + size) as usize);
        while at < end {
            let [name, len, kind] = [0, 4, 8].map(|field| word::<4>(&self.0, at + field) as usize);
            let from = at + 12 + name.next_multiple_of(4);
            notes.push((kind as u64, &self.0[from..from + len]));
            at = from + len.next_multiple_of(4);
        }
        notes
    }
}

/// Whether the notes are those of the process, with what they must say.
fn tells(core: &Core, pid: i32) -> bool {
    let notes = core.notes();
    let kinds: Vec<u64> = notes.iter().map(|note| note.0).collect();
    let (status, info, files) = (notes[0].1, notes[1].1, notes[4].1);
    let (stack, name) = (word::<8>(status, 112 + 8 * 19), std::env::args().next().unwrap_or_default());
    let relations = [pid, process::getpid().unwrap_or(0) as i32].map(|number| number as u64);
    kinds.starts_with(&[1, 3, 0x5349_4749, 6, 0x4649_4C45, 2])
        && word::<2>(status, 12) == libc::SIGSEGV as u64
        && [32, 36].map(|at| word::<4>(status, at)) == relations
        && core.at(stack, 8).is_some()
        && info[1] == b'R' && [24, 28].map(|at| word::<4>(info, at)) == relations
        && info[56..].starts_with(&name.as_bytes()[..name.len().min(79)])
        && word::<4>(notes[2].1, 0) == libc::SIGSEGV as u64
        && notes[3].1 == std::fs::read("/proc/self/auxv").unwrap_or_default()
        && word::<8>(files, 8) == PAGE as u64
        && files.windows(6).any(|name| name == b"behave")
        && files.windows(20).any(|name| name == b"/dev/zero (deleted)\0")
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let here = are_here();
    contents(here);
    limits(here);
    say!("none of SIGTERM: {} {}", dumped(child::start(|| kill_self(libc::SIGTERM))), core().is_some());
    places(here);
    say!("killed meanwhile: {}", (0..10).any(|_| killed_meanwhile()) || !here);
    0
}

fn contents(here: bool) {
    let pages = [1, 2, 3].map(page);
    let shared = map(PAGE, 3, libc::MAP_SHARED);
    shared.set(0, 9);
    let fresh = map(16 * PAGE, libc::PROT_READ, libc::MAP_PRIVATE);
    limit(u64::MAX);
    let pid = child::start(|| {
        show("not this one", madvise(&pages[1], 0, PAGE, libc::MADV_DONTDUMP));
        kill_self(libc::SIGSEGV)
    });
    say!("told of: {}", dumped(pid) || !here);
    let whole = core();
    say!("a core: {}", whole.is_some() == here);
    let good = whole.as_ref().is_none_or(|core| {
        let found = |page: &Map, mark: u8| core.at(page.addr as u64, 64) == Some(&[mark; 64]);
        found(&pages[0], 1) && !found(&pages[1], 2) && found(&pages[2], 3)
    });
    say!("as it was: {}", good);
    let of = |map: &Map| whole.as_ref().is_none_or(|core| core.at(map.addr as u64, 1).is_some());
    say!("what is shared: {}; untouched: {}", of(&shared), of(&fresh) && here);
    say!("the notes: {}", whole.as_ref().is_none_or(|core| tells(core, pid)));
}

fn limits(here: bool) {
    let round = |what: &str, bytes| {
        limit(bytes);
        let told = dumped(child::start(|| kill_self(libc::SIGABRT)));
        say!("{what}: {} {}", told && here, core().is_some() && here);
    };
    round("too small", 4095);
    round("cut off, but told of", 20_000);
    round("of nothing", 0);
    round("of everything", u64::MAX);
    let pid = child::start(|| {
        show("not to be dumped", process::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0));
        kill_self(libc::SIGQUIT)
    });
    say!("{} {}", dumped(pid), core().is_some());
}

/// What is called `core` already is put aside, if it can be.
fn places(here: bool) {
    let round = |what: &str| {
        let told = dumped(child::start(|| kill_self(libc::SIGILL)));
        let size = std::fs::symlink_metadata("core").map_or(0, |meta| u64::from(meta.is_file()) * meta.len());
        say!("{what}: {} {}", told && here, size > 4096 && here);
    };
    show("link", file::symlink(c"elsewhere", c"core"));
    round("a link");
    say!("not through it: {}", file::slurp(c"elsewhere").is_err());
    let _ = file::unlink(c"core");
    let _ = std::fs::write("other", b"other");
    show("link", file::link(c"other", c"core"));
    round("another's name");
    say!("{:?}", std::fs::read("other").map(|other| other == b"other" || !here));
    let _ = file::unlink(c"core");
    show("directory", file::mkdir(c"core", 0o755));
    round("a directory");
    let _ = file::rmdir(c"core");
    let old = file::umask(0o400);
    round("a mask");
    let _ = file::umask(old.unwrap_or(0) as u32);
    let _ = file::unlink(c"core");
    show("away", file::mkdir(c"away", 0o755).and_then(|_| file::chdir(c"away")));
    show("gone", file::rmdir(c"../away"));
    round("nowhere");
    show("back", file::chdir(c".."));
}

/// Whether SIGKILL came while the file was written, and was what the process ended of.
fn killed_meanwhile() -> bool {
    let memory = map(8000 * PAGE, 3, libc::MAP_PRIVATE);
    (0..8000).for_each(|page| memory.set(page * PAGE, 1));
    let pid = child::start(|| kill_self(libc::SIGBUS));
    while std::fs::symlink_metadata("core").is_err() && !ended(pid) {
        let _ = time::sleep_ms(1);
    }
    let _ = signal::kill(pid, libc::SIGKILL);
    let status = child::wait(pid).map_or(0, |status| status.0);
    let _ = file::unlink(c"core");
    status == libc::SIGKILL
}

fn ended(pid: i32) -> bool {
    let mut info = libc::siginfo_t::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let _ = process::waitid(libc::P_PID, pid, Some(&mut info), options, None);
    info.si_signo != 0
}

/// Waits for it; whether it is said to have left a core.
pub(super) fn dumped(pid: i32) -> bool {
    child::wait(pid).is_ok_and(|status| libc::WCOREDUMP(status.0))
}

fn kill_self(signal: i32) -> i32 {
    let _ = signal::kill(process::getpid().unwrap_or(0) as i32, signal);
    7
}

/// Memory without a file; without it there is nothing to be seen.
pub(super) fn map(len: usize, rights: i32, flags: i32) -> Map {
    Map::new(len, rights, flags, -1, 0).unwrap_or_else(|errno| {
        say!("no memory: {errno:?}");
        process::exit(1)
    })
}

/// A page with these bytes, and one behind it that keeps it apart from the next.
fn page(mark: u8) -> Map {
    let map = map(2 * PAGE, 3, libc::MAP_PRIVATE);
    show("apart", map.protect(PAGE, PAGE, libc::PROT_NONE));
    (0..64).for_each(|at| map.set(at, mark));
    map
}
