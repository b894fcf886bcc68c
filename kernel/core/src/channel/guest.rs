//! The guest's side of the channel as a state machine: what may be written, what was asked for,
//! what the launcher's frames mean. No buffer and no lock lives here; the kernel's
//! `drivers::channel` moves the bytes and wakes the waiters.

use super::{HEADER_LEN, Header, INITIAL_CREDIT, Kind, Malformed};
use crate::errno::Errno;
use crate::num::usize_of32;

/// Bytes of the frame that asks for input.
pub const ASK_LEN: usize = HEADER_LEN + 8;

const fn pair(first: u32, second: u32) -> [u8; 8] {
    (first as u64 | (second as u64) << 32).to_le_bytes()
}

/// One of the job's output streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// Standard output, stream 1.
    Stdout,
    /// Standard error, stream 2.
    Stderr,
}

impl Output {
    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Stdout),
            2 => Some(Self::Stderr),
            _ => None,
        }
    }
}

/// What the launcher says, once understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// Bytes of standard input; never more in all than was asked for.
    Input(&'a [u8]),
    /// Standard input is at its end.
    InputEnd,
    /// An output stream may be written again.
    Credit(Output),
    /// Nobody reads an output stream any more.
    ReaderGone(Output),
    /// A signal for the job.
    Signal(u8),
    /// The window has changed.
    Window {
        /// Its height in lines.
        rows: u16,
        /// Its width in characters.
        columns: u16,
    },
}

/// Whether an output stream can be written now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// This many bytes may go now (at least 1).
    Now(usize),
    /// None until the launcher has taken more.
    Later,
    /// None ever again: nobody reads the stream.
    Never,
}

#[derive(Clone, Copy, Default, Debug)]
struct OutputState {
    credit: usize,
    reader_gone: bool,
}

/// Reassembly of the launcher's frames from pieces of any size; payloads of data pass through
/// unbuffered.
#[derive(Default, Debug)]
struct Parser {
    header: [u8; HEADER_LEN],
    header_fill: usize,
    current: Option<Header>,
    remaining: usize,
    /// The payload of a control frame, at most 4 bytes.
    control: [u8; 4],
    control_fill: usize,
}

/// The guest's side of the channel.
#[derive(Debug)]
pub struct Guest {
    outputs: [OutputState; 2],
    /// Bytes of standard input there is room for; 0 once the answer is here.
    asked: usize,
    input_over: bool,
    input_error: Option<Errno>,
    parser: Parser,
}

impl Guest {
    /// A channel nothing has passed through yet. Without `stdin` the input is at its end.
    #[must_use]
    pub fn new(stdin: bool) -> Self {
        let fresh = OutputState {
            credit: usize_of32(INITIAL_CREDIT),
            reader_gone: false,
        };
        Self {
            outputs: [fresh; 2],
            asked: 0,
            input_over: !stdin,
            input_error: None,
            parser: Parser::default(),
        }
    }

    /// Takes in what the launcher sent and calls `sink` for every event in it.
    ///
    /// # Errors
    /// [`Malformed`] for a frame that isn't the launcher's to send, for input nobody asked for,
    /// and as [`Header::decode`].
    pub fn receive(
        &mut self,
        mut bytes: &[u8],
        mut sink: impl FnMut(Event<'_>),
    ) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            let Some(header) = self.parser.current else {
                bytes = self.take_header(bytes, &mut sink)?;
                continue;
            };
            let now = bytes.len().min(self.parser.remaining);
            let (piece, rest) = bytes.split_at_checked(now).ok_or(Malformed)?;
            bytes = rest;
            self.parser.remaining -= now;
            if header.kind == Kind::Data {
                self.asked = self.asked.checked_sub(now).ok_or(Malformed)?;
                sink(Event::Input(piece));
            } else {
                let end = self.parser.control_fill + now;
                let room = self
                    .parser
                    .control
                    .get_mut(self.parser.control_fill..end)
                    .ok_or(Malformed)?;
                room.copy_from_slice(piece);
                self.parser.control_fill = end;
            }
            if self.parser.remaining == 0 {
                self.finish_frame(header, &mut sink)?;
            }
        }
        Ok(())
    }

    /// Whether `stream` can take bytes: as many of `wanted` as there is credit for, all or none
    /// of them when `whole`.
    #[must_use]
    pub fn admission(&self, stream: Output, wanted: usize, whole: bool) -> Admission {
        let state = self.output(stream);
        let least = if whole { wanted } else { 1 };
        if state.reader_gone {
            Admission::Never
        } else if state.credit < least.max(1) {
            Admission::Later
        } else {
            Admission::Now(wanted.min(state.credit))
        }
    }

    /// Uses credit up: `len` bytes, at most what [`Guest::admission`] allowed.
    pub fn spend(&mut self, stream: Output, len: usize) {
        let state = self.output_mut(stream);
        state.credit = state.credit.saturating_sub(len);
    }

    /// Gives back credit for bytes that weren't sent after all.
    pub fn refund(&mut self, stream: Output, len: usize) {
        let state = self.output_mut(stream);
        state.credit = state.credit.saturating_add(len);
    }

    /// Asks for input: the frame to send for `wanted` bytes, with room for `room`, or `None` when an
    /// earlier question isn't answered yet, the input is over, or there is no room.
    pub fn ask(&mut self, wanted: u32, room: u32) -> Option<[u8; ASK_LEN]> {
        if self.asked > 0 || self.input_over || room == 0 {
            return None;
        }
        self.asked = usize_of32(room);
        let header = Header {
            kind: Kind::Read,
            stream: 0,
            len: 8,
        };
        let mut frame = [0; ASK_LEN];
        let words = [header.encode(), pair(wanted.clamp(1, room), room)];
        for (place, word) in frame.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *place = word;
        }
        Some(frame)
    }

    /// Whether the input's end has arrived; bytes before it may still be unread.
    #[must_use]
    pub const fn input_over(&self) -> bool {
        self.input_over
    }

    /// Why there is no more input, when that isn't its end: what a read answers once everything
    /// before is read.
    #[must_use]
    pub const fn input_error(&self) -> Option<Errno> {
        self.input_error
    }

    /// Whether a question for input is still to be answered.
    #[must_use]
    pub const fn waiting_for_input(&self) -> bool {
        self.asked > 0 && !self.input_over
    }

    const fn output(&self, stream: Output) -> OutputState {
        let [stdout, stderr] = self.outputs;
        match stream {
            Output::Stdout => stdout,
            Output::Stderr => stderr,
        }
    }

    const fn output_mut(&mut self, stream: Output) -> &mut OutputState {
        let [stdout, stderr] = &mut self.outputs;
        match stream {
            Output::Stdout => stdout,
            Output::Stderr => stderr,
        }
    }

    fn take_header<'a>(
        &mut self,
        bytes: &'a [u8],
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<&'a [u8], Malformed> {
        let parser = &mut self.parser;
        let now = bytes.len().min(HEADER_LEN - parser.header_fill);
        let (piece, rest) = bytes.split_at_checked(now).ok_or(Malformed)?;
        let end = parser.header_fill + now;
        parser
            .header
            .get_mut(parser.header_fill..end)
            .ok_or(Malformed)?
            .copy_from_slice(piece);
        parser.header_fill = end;
        if end == HEADER_LEN {
            let header = Header::decode(parser.header)?;
            parser.header_fill = 0;
            parser.control_fill = 0;
            parser.remaining = usize_of32(header.len);
            parser.current = Some(header);
            check(header)?;
            if header.len == 0 {
                self.finish_frame(header, sink)?;
            }
        }
        Ok(rest)
    }

    fn finish_frame(
        &mut self,
        header: Header,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Malformed> {
        self.parser.current = None;
        let [a, b, c, d] = self.parser.control;
        match (header.kind, Output::from_number(header.stream)) {
            (Kind::Data, _) => self.asked = 0,
            (Kind::End, None) => {
                self.input_over = true;
                self.input_error = match header.len {
                    0 => None,
                    _ => Some(Errno::from_number(a.into()).unwrap_or(Errno::EIO)),
                };
                self.asked = 0;
                sink(Event::InputEnd);
            }
            (Kind::End, Some(stream)) => {
                self.output_mut(stream).reader_gone = true;
                sink(Event::ReaderGone(stream));
            }
            (Kind::Credit, Some(stream)) => {
                self.refund(stream, usize_of32(u32::from_le_bytes([a, b, c, d])));
                sink(Event::Credit(stream));
            }
            (Kind::Signal, _) => sink(Event::Signal(a)),
            (Kind::Window, _) => sink(Event::Window {
                rows: u16::from_le_bytes([a, b]),
                columns: u16::from_le_bytes([c, d]),
            }),
            _ => return Err(Malformed),
        }
        Ok(())
    }
}

/// Whether the launcher may send a frame with this header.
fn check(header: Header) -> Result<(), Malformed> {
    let input = header.stream == 0;
    let good = match header.kind {
        Kind::Data => input && header.len > 0,
        Kind::End => header.len <= u32::from(input),
        Kind::Credit => !input && header.len == 4,
        Kind::Signal => header.len == 1,
        Kind::Window => header.len == 4,
        Kind::Read | Kind::Log | Kind::Settings | Kind::Trace => false,
    };
    good.then_some(()).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn frame(kind: Kind, stream: u8, payload: &[u8]) -> Vec<u8> {
        let len = payload.len() as u32;
        let mut wire = Header { kind, stream, len }.encode().to_vec();
        wire.extend_from_slice(payload);
        wire
    }

    fn events(guest: &mut Guest, bytes: &[u8]) -> Result<Vec<(char, Vec<u8>)>, Malformed> {
        let mut seen: Vec<(char, Vec<u8>)> = vec![];
        guest.receive(bytes, |event| match event {
            Event::Input(bytes) => match seen.last_mut() {
                Some(('i', earlier)) => earlier.extend_from_slice(bytes),
                _ => seen.push(('i', bytes.to_vec())),
            },
            Event::InputEnd => seen.push(('e', vec![])),
            Event::Credit(stream) => seen.push(('c', vec![stream.number()])),
            Event::ReaderGone(stream) => seen.push(('g', vec![stream.number()])),
            Event::Signal(number) => seen.push(('s', vec![number])),
            Event::Window { rows, columns } => {
                seen.push(('w', vec![rows as u8, columns as u8]));
            }
        })?;
        Ok(seen)
    }

    #[test]
    fn credit_is_spent_and_returned() {
        let mut guest = Guest::new(true);
        let all = usize_of32(INITIAL_CREDIT);
        let stream = Output::Stderr;
        assert_eq!(guest.admission(stream, all + 1, false), Admission::Now(all));
        assert_eq!(guest.admission(stream, all + 1, true), Admission::Later);
        guest.spend(stream, all - 1);
        assert_eq!(guest.admission(stream, 5, false), Admission::Now(1));
        assert_eq!(guest.admission(stream, 2, true), Admission::Later);
        assert_eq!(
            guest.admission(Output::Stdout, 9, true),
            Admission::Now(9),
            "the streams don't share credit"
        );
        let wire = frame(Kind::Credit, 2, &10u32.to_le_bytes());
        assert_eq!(events(&mut guest, &wire), Ok(vec![('c', vec![2])]));
        assert_eq!(guest.admission(stream, 50, false), Admission::Now(11));
        let wire = frame(Kind::End, 2, &[]);
        assert_eq!(events(&mut guest, &wire), Ok(vec![('g', vec![2])]));
        assert_eq!(guest.admission(stream, 1, false), Admission::Never);
    }

    #[test]
    fn input_comes_only_when_asked_for() {
        let mut guest = Guest::new(true);
        assert!(events(&mut guest, &frame(Kind::Data, 0, b"x")).is_err());
        let mut guest = Guest::new(true);
        let asked = [3, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0];
        assert_eq!(guest.ask(2, 5), Some(asked));
        assert_eq!(guest.ask(2, 5), None, "not answered yet");
        assert!(events(&mut guest, &frame(Kind::Data, 0, b"abcdef")).is_err());
    }

    #[test]
    fn the_end_of_input_answers_what_was_asked() {
        let mut guest = Guest::new(true);
        assert!(guest.ask(1, 5).is_some());
        let got = events(&mut guest, &frame(Kind::End, 0, &[]));
        assert_eq!(got, Ok(vec![('e', vec![])]));
        assert!(guest.input_over() && !guest.waiting_for_input());
        assert_eq!(guest.ask(1, 5), None);
        assert!(Guest::new(false).input_over());
    }

    #[test]
    fn one_answer_is_all_there_is_to_a_question() {
        let mut guest = Guest::new(true);
        assert!(guest.ask(1, 5).is_some());
        assert!(guest.waiting_for_input());
        let got = events(&mut guest, &frame(Kind::Data, 0, b"abc"));
        assert_eq!(got, Ok(vec![('i', b"abc".to_vec())]));
        assert!(!guest.waiting_for_input());
        assert!(events(&mut guest, &frame(Kind::Data, 0, b"d")).is_err());
        let mut guest = Guest::new(true);
        assert!(guest.ask(1, 5).is_some());
        events(&mut guest, &frame(Kind::Data, 0, b"abc")).unwrap();
        assert!(guest.ask(1, 5).is_some());
    }

    #[test]
    fn an_end_may_have_a_reason() {
        let mut guest = Guest::new(true);
        assert!(guest.ask(1, 9).is_some());
        // EISDIR.
        events(&mut guest, &frame(Kind::End, 0, &[21])).unwrap();
        assert!(guest.input_over());
        assert_eq!(guest.input_error(), Some(Errno::EISDIR));
        let mut guest = Guest::new(true);
        events(&mut guest, &frame(Kind::End, 0, &[])).unwrap();
        assert_eq!((guest.input_over(), guest.input_error()), (true, None));
    }

    #[test]
    fn frames_of_the_wrong_side_are_refused() {
        for (kind, stream, payload) in [
            (Kind::Read, 0, &[0u8; 4][..]),
            (Kind::Log, 0, b"x"),
            (Kind::Settings, 0, b""),
            (Kind::Data, 1, b"x"),
            (Kind::Data, 0, b""),
            (Kind::Credit, 0, &[0; 4]),
            (Kind::Credit, 1, &[0; 3]),
            (Kind::Signal, 0, &[]),
            (Kind::Window, 0, &[0; 5]),
            (Kind::End, 0, b"xy"),
            (Kind::End, 1, b"x"),
        ] {
            let mut guest = Guest::new(true);
            assert!(guest.ask(1, 9).is_some());
            let wire = frame(kind, stream, payload);
            assert!(events(&mut guest, &wire).is_err(), "{kind:?}");
        }
    }

    proptest! {
        /// However the bytes are cut, the same events come out.
        #[test]
        fn events_survive_any_split(cuts in proptest::collection::vec(1usize..40, 0..40)) {
            let mut wire = frame(Kind::Window, 0, &[24, 0, 80, 0]);
            wire.extend(frame(Kind::Data, 0, &[7; 100]));
            wire.extend(frame(Kind::Signal, 0, &[15]));
            wire.extend(frame(Kind::End, 0, b""));
            let mut guest = Guest::new(true);
            prop_assert!(guest.ask(1, 200).is_some());
            let mut seen: Vec<(char, Vec<u8>)> = vec![];
            let mut left = &wire[..];
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (piece, rest) = left.split_at(cut.min(left.len()));
                left = rest;
                for (kind, bytes) in events(&mut guest, piece).unwrap() {
                    match seen.last_mut() {
                        Some(('i', earlier)) if kind == 'i' => earlier.extend_from_slice(&bytes),
                        _ => seen.push((kind, bytes)),
                    }
                }
            }
            prop_assert_eq!(seen, vec![
                ('w', vec![24, 80]), ('i', vec![7; 100]), ('s', vec![15]), ('e', vec![]),
            ]);
        }
    }
}
