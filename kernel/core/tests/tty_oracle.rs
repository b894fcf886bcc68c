//! The line discipline against the host's own: the same settings and the same typing must echo,
//! and be read as, the same bytes on a pseudoterminal of the host's Linux and here.
//!
//! Skipped, with a word about it, where the host gives no pseudoterminal.
#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::large_stack_arrays,
    reason = "a test may panic, and its data is small"
)]

use std::os::fd::OwnedFd;

use kiln_core::abi;
use kiln_core::tty::Termios;
use kiln_core::tty::line::{Effect, Line, Taken};
use proptest::prelude::*;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, tcgetattr, tcsetattr,
};

struct Pair {
    master: OwnedFd,
    slave: OwnedFd,
}

fn pair() -> Option<Pair> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let master = openpt(flags).ok()?;
    grantpt(&master).ok()?;
    unlockpt(&master).ok()?;
    let name = ptsname(&master, Vec::new()).ok()?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
    let slave = rustix::fs::open(name, flags, Mode::empty()).ok()?;
    rustix::io::ioctl_fionbio(&master, true).ok()?;
    Some(Pair { master, slave })
}

#[derive(Clone, Debug)]
enum Step {
    Type(Vec<u8>),
    Write(Vec<u8>),
    Read(usize),
    Local(u32),
}

/// What was seen after a step.
#[derive(PartialEq, Eq, Debug, Default)]
struct Seen {
    echo: Vec<u8>,
    read: Option<Vec<u8>>,
    waiting: usize,
    readable: bool,
}

fn apply(pair: &Pair, termios: &Termios) {
    let mut host = tcgetattr(&pair.slave).unwrap();
    host.input_modes = InputModes::from_bits_retain(termios.input);
    host.output_modes = OutputModes::from_bits_retain(termios.output);
    host.local_modes = LocalModes::from_bits_retain(termios.local);
    for (index, code) in [
        (abi::VEOL, SpecialCodeIndex::VEOL),
        (abi::VMIN, SpecialCodeIndex::VMIN),
        (abi::VTIME, SpecialCodeIndex::VTIME),
    ] {
        host.special_codes[code] = termios.character(index);
    }
    tcsetattr(&pair.slave, OptionalActions::Now, &host).unwrap();
}

fn drain(fd: &OwnedFd) -> Vec<u8> {
    let mut all = vec![];
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = rustix::io::read(fd, &mut buffer) {
        all.extend_from_slice(&buffer[..count]);
    }
    all
}

fn is_readable(pair: &Pair) -> bool {
    let mut looked = [PollFd::new(&pair.slave, PollFlags::IN)];
    poll(&mut looked, Some(&rustix::event::Timespec::default())).unwrap();
    looked[0].revents().contains(PollFlags::IN)
}

/// Takes the step on the host. Linux does what is typed in the background: it gets a while to come
/// to `hoped` for.
fn on_host(pair: &Pair, termios: &mut Termios, step: &Step, hoped: &Seen) -> Seen {
    let mut seen = Seen::default();
    match step {
        Step::Type(bytes) => {
            assert_eq!(rustix::io::write(&pair.master, bytes), Ok(bytes.len()));
        }
        Step::Write(bytes) => {
            assert_eq!(rustix::io::write(&pair.slave, bytes), Ok(bytes.len()));
        }
        Step::Read(len) => {
            let mut buffer = vec![0; *len];
            let read = rustix::io::read(&pair.slave, &mut buffer);
            seen.read = read.ok().map(|count| buffer[..count].to_vec());
        }
        Step::Local(flags) => {
            // With nothing to read, looking for input makes Linux finish with what was typed.
            while is_readable(pair) {
                let _ = rustix::io::read(&pair.slave, &mut [0; 4096]);
            }
            termios.local ^= flags;
            apply(pair, termios);
        }
    }
    for _ in 0..40 {
        seen.readable = is_readable(pair);
        seen.waiting = rustix::io::ioctl_fionread(&pair.slave).unwrap() as usize;
        seen.echo.extend(drain(&pair.master));
        if seen == *hoped {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    seen
}

fn here(line: &mut Line, step: &Step) -> Seen {
    let mut seen = Seen::default();
    match step {
        Step::Type(bytes) => {
            let echo = &mut seen.echo;
            for byte in bytes {
                line.type_byte(*byte, &mut |effect| match effect {
                    Effect::Echo(bytes) => echo.extend_from_slice(bytes),
                    Effect::FlushOutput => echo.clear(),
                    Effect::Signal(_) | Effect::Stopped(_) => {}
                });
            }
        }
        Step::Write(bytes) => line.write(bytes, |bytes| seen.echo.extend_from_slice(bytes)),
        Step::Read(len) => {
            let mut buffer = vec![0; *len];
            seen.read = match line.read(&mut buffer) {
                Taken::Bytes(count) => Some(buffer[..count].to_vec()),
                Taken::End => Some(vec![]),
                Taken::Nothing => (line.patience().first == Some(0)).then(Vec::new),
            };
        }
        Step::Local(flags) => {
            while line.is_readable() {
                line.read(&mut [0; 4096]);
            }
            let mut termios = *line.termios();
            termios.local ^= flags;
            line.set_termios(termios);
        }
    }
    seen.waiting = line.readable_len();
    seen.readable = line.is_readable();
    seen
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        6 => prop::sample::select(b"abcxyz_09 .-".to_vec()),
        2 => prop::sample::select(b"\n\r\t\x7f\x17\x15".to_vec()),
        1 => prop::sample::select(b"\x04\x16\x12\x08\x01\x1b\x0f;".to_vec()),
        1 => prop::sample::select(vec![0xC3u8, 0xA9, 0xE2, 0x82, 0xAC, 0xFF, 0x80]),
    ];
    prop::collection::vec(byte, 1..24)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => bytes().prop_map(Step::Type),
        // By themselves: what else is typed at the same time, Linux may forget before echoing it.
        1 => prop::sample::select(b"\x03\x1c\x1a".to_vec()).prop_map(|key| Step::Type(vec![key])),
        2 => prop::collection::vec(prop::sample::select(b"ab\t\n\r\x08".to_vec()), 1..12).prop_map(Step::Write),
        3 => (1usize..30).prop_map(Step::Read),
        1 => prop::sample::select(vec![abi::ICANON, abi::ECHO, abi::ECHOE, abi::ECHOCTL])
            .prop_map(Step::Local),
    ]
}

fn flags(of: &'static [u32]) -> impl Strategy<Value = u32> {
    prop::collection::vec(any::<bool>(), of.len()).prop_map(move |on| {
        of.iter()
            .zip(on)
            .filter(|(_, on)| *on)
            .map(|(flag, _)| *flag)
            .sum()
    })
}

fn settings() -> impl Strategy<Value = Termios> {
    let input = flags(&[
        abi::ICRNL,
        abi::INLCR,
        abi::IGNCR,
        abi::ISTRIP,
        abi::IUTF8,
        abi::PARMRK,
    ]);
    let output = flags(&[abi::ONLCR, abi::OCRNL, abi::ONOCR, abi::ONLRET, abi::OLCUC]);
    let local = flags(&[
        abi::ISIG,
        abi::ECHO,
        abi::ECHOE,
        abi::ECHOK,
        abi::ECHOKE,
        abi::ECHOCTL,
        abi::ECHONL,
        abi::ECHOPRT,
        abi::NOFLSH,
        abi::IEXTEN,
    ]);
    let usual = Termios::default();
    let odd = (input, output, local, any::<[bool; 3]>(), 0u8..4).prop_map(
        move |(input, output, local, [canonical, post, tabs], minimum)| {
            let mut termios = usual;
            termios.input = input;
            termios.output = output;
            termios.output |= if post { abi::OPOST } else { 0 };
            termios.output |= if tabs { abi::XTABS } else { 0 };
            termios.local = local | if canonical { abi::ICANON } else { 0 };
            termios.characters[abi::VEOL as usize] = b';';
            termios.characters[abi::VMIN as usize] = minimum;
            termios
        },
    );
    prop_oneof![1 => Just(usual), 3 => odd]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn typing_is_as_on_linux(settings in settings(), steps in prop::collection::vec(step(), 1..12)) {
        let Some(pair) = pair() else {
            eprintln!("skipped: the host gives no pseudoterminal");
            return Ok(());
        };
        let mut host = settings;
        apply(&pair, &host);
        let mut line = Line::new().unwrap();
        line.set_termios(settings);
        for step in &steps {
            let ours = here(&mut line, step);
            let expected = on_host(&pair, &mut host, step, &ours);
            // Linux at times echoes a whole buffer of zeroes after a change of mode.
            prop_assume!(expected.echo.len() < 1000);
            prop_assert_eq!(ours, expected, "at {:?} of {:?} with {:#x} {:#x} {:#x}", step, steps, settings.input, settings.output, settings.local);
        }
    }
}

#[test]
fn a_line_too_long_keeps_its_end() {
    let Some(pair) = pair() else { return };
    let mut host = Termios::default();
    apply(&pair, &host);
    let mut line = Line::new().unwrap();
    for _ in 0..70 {
        let step = Step::Type(vec![b'x'; 100]);
        let ours = here(&mut line, &step);
        on_host(&pair, &mut host, &step, &ours);
    }
    for step in [Step::Type(b"\n".to_vec()), Step::Read(8000)] {
        let mut ours = here(&mut line, &step);
        let mut theirs = on_host(&pair, &mut host, &step, &ours);
        // Linux stops echoing when its echo buffer is full; we don't.
        (ours.echo, theirs.echo) = (vec![], vec![]);
        assert_eq!(ours, theirs);
    }
}

#[test]
fn settings_are_as_linux_gives_them() {
    let Some(pair) = pair() else { return };
    let host = tcgetattr(&pair.slave).unwrap();
    let ours = Termios::default();
    assert_eq!(host.input_modes.bits(), ours.input);
    assert_eq!(host.output_modes.bits(), ours.output);
    assert_eq!(host.local_modes.bits(), ours.local);
    for (index, code) in [
        (abi::VINTR, SpecialCodeIndex::VINTR),
        (abi::VEOF, SpecialCodeIndex::VEOF),
        (abi::VLNEXT, SpecialCodeIndex::VLNEXT),
        (abi::VDISCARD, SpecialCodeIndex::VDISCARD),
    ] {
        assert_eq!(host.special_codes[code], ours.character(index));
    }
}
