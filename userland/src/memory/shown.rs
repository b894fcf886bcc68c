//! What /proc tells of a process's memory agrees with what it did: smaps, smaps_rollup, pagemap,
//! statm and status.
use crate::out::say;
use crate::sys::{child, file, memory::{self, Map, PAGE}};
use std::ffi::CStr;

const PAGES: usize = 40;

fn whole(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The lines of `smaps` about the area at `addr`, by name.
fn of_area(addr: usize) -> Vec<(String, String)> {
    let text = whole("/proc/self/smaps");
    let head = format!("{addr:08x}-");
    let lines = text.lines().skip_while(|line| !line.starts_with(&head)).skip(1);
    let field = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    lines.map_while(|line| if line.starts_with(|c: char| c.is_ascii_uppercase()) { field(line) } else { None }).collect()
}

fn tell(what: &str, map: &Map) {
    let fields = of_area(map.addr);
    let wanted = ["Size", "Rss", "Pss", "Shared_Dirty", "Private_Clean", "Private_Dirty", "Anonymous", "AnonHugePages", "Locked"];
    for (name, value) in fields.iter().filter(|(name, _)| wanted.contains(&name.as_str())) {
        say!("{what}: {name} {value}");
    }
    let flags = fields.iter().find(|(name, _)| name == "VmFlags").map(|(_, value)| value.replace(" sd", ""));
    say!("{what}: flags {flags:?}");
}

/// A letter for each page of the mapping: `-` absent, `p` present and this process's alone, `s` shared.
fn pagemap(map: &Map) -> String {
    let Ok(fd) = file::fd(file::open(c"/proc/self/pagemap", libc::O_RDONLY, 0)) else { return "?".into() };
    let mut words = vec![0u8; PAGES * 8];
    let read = file::pread(fd, &mut words, (map.addr / PAGE * 8) as i64);
    let _ = file::close(fd);
    if read != Ok(words.len()) {
        return format!("{read:?}");
    }
    let letter = |word: &[u8]| match word[7] {
        byte if byte & 0x80 == 0 => '-',
        byte if byte & 1 != 0 => 'p',
        _ => 's',
    };
    words.chunks(8).map(letter).collect()
}

fn resident_kib() -> u64 {
    let text = whole("/proc/self/smaps_rollup");
    let line = text.lines().find(|line| line.starts_with("Rss:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(PAGES * PAGE) else { return 1 };
    // Neighbours that aren't like it, so that it stays an area of its own.
    let _ = map.protect(0, PAGE, libc::PROT_READ);
    let _ = map.protect((PAGES - 1) * PAGE, PAGE, libc::PROT_READ);
    let middle = std::mem::ManuallyDrop::new(Map { addr: map.addr + PAGE, len: (PAGES - 2) * PAGE });
    tell("untouched", &middle);
    for page in [1, 2, 3, 10, 20] {
        middle.set(page * PAGE, 1);
    }
    tell("five pages", &middle);
    say!("{}", pagemap(&map));
    let end = child::run(|| {
        tell("in a child", &middle);
        middle.set(PAGE, 2);
        tell("one written", &middle);
        say!("{}", pagemap(&map));
        0
    });
    say!("{end}");
    let _ = memory::madvise(&middle, 10 * PAGE, PAGE, libc::MADV_DONTNEED);
    let _ = memory::madvise(&map, 0, PAGES * PAGE, libc::MADV_DONTFORK);
    tell("one dropped", &middle);
    say!("{}", pagemap(&map));
    let Ok(more) = Map::anon(256 * PAGE) else { return 1 };
    let before = resident_kib();
    (0..256).for_each(|page| more.set(page * PAGE, 1));
    say!("as much more: {}", (1000..1080).contains(&(resident_kib() - before)));
    let field = |name: &str| {
        let text = whole("/proc/self/status");
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or("0 0").to_owned();
        line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
    };
    let parts = field("RssAnon") + field("RssFile") + field("RssShmem");
    say!("parts make the whole: {}", parts.abs_diff(field("VmRSS")) <= 64);
    let most = field("VmHWM");
    drop(more);
    // Both lag by as much as Linux's counters of each CPU hold back.
    say!("the most is remembered: {}", field("VmHWM") + 300 >= most && field("VmRSS") + 300 < most);
    crate::out::show("clear_refs", file::fd(file::open(c"/proc/self/clear_refs", libc::O_WRONLY, 0)).and_then(|fd| file::write(fd, b"1")));
    crate::out::show("clear_refs 9", file::fd(file::open(c"/proc/self/clear_refs", libc::O_WRONLY, 0)).and_then(|fd| file::write(fd, b"9")));
    0
}
