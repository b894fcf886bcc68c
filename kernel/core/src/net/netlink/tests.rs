//! Tests of the messages of netlink sockets: requests, answers and their rights.

use super::*;

fn dump(kind: u16) -> Vec<u8> {
    let mut raw = Vec::new();
    raw.extend_from_slice(&20u32.to_le_bytes());
    raw.extend_from_slice(&kind.to_le_bytes());
    raw.extend_from_slice(&(REQUEST | DUMP).to_le_bytes());
    raw.extend_from_slice(&7u32.to_le_bytes());
    raw.extend_from_slice(&[0; 8]);
    raw
}

#[test]
fn dumps_are_well_formed_and_end() {
    for (kind, count) in [(GET_LINK, 1), (GET_ADDR, 2), (GET_ROUTE, 2), (GET_RULE, 5)] {
        let raw = dump(kind);
        let request = requests(&raw).next().expect("a request");
        let answers = request.answer(42, false);
        assert_eq!(answers.len(), 2);
        let messages: Vec<_> = requests(&answers[0]).collect();
        assert_eq!(messages.len(), count);
        assert!(messages.iter().all(|m| m.sequence == 7 && m.flags == MULTI));
        let total: usize = messages.iter().map(|m| m.raw.len()).sum();
        assert_eq!(total, answers[0].len());
        let end = requests(&answers[1]).next().expect("an end");
        assert_eq!(end.kind, DONE);
    }
}

#[test]
fn what_is_unknown_is_refused() {
    let raw = dump(77);
    let answers = requests(&raw).next().expect("a request").answer(1, true);
    let first = requests(&answers[0]).next().expect("an answer");
    assert_eq!(
        (first.kind, word(first.raw, HEADER).cast_signed()),
        (ERROR, -95)
    );
}

/// What a change of a link is answered: kind and flags of the request, index, flags, which of them change, and
/// an attribute.
fn changed(kind: u16, flags: u16, head: [u32; 3], attribute: (u16, &[u8])) -> i32 {
    let mut raw = Vec::new();
    let request = Request {
        kind,
        flags,
        sequence: 7,
        raw: &[],
    };
    let mut message = Message::begin(&mut raw, kind, REQUEST | ACK | flags, &request, 0);
    message.put(&[0; 4]);
    head.iter()
        .for_each(|word| message.put(&word.to_le_bytes()));
    if attribute.0 != 0 {
        message.attribute(attribute.0, attribute.1);
    }
    drop(message);
    let answers = requests(&raw).next().expect("a request").answer(1, true);
    let first = requests(&answers[0]).next().expect("an answer");
    assert_eq!(first.kind, ERROR);
    word(first.raw, HEADER).cast_signed()
}

#[test]
fn only_what_is_so_already_is_acknowledged() {
    let lo: (u16, &[u8]) = (NAME, b"lo\0");
    let none: (u16, &[u8]) = (0, b"");
    for (flags, head, attribute, answer) in [
        (0, [1, 1, 1], none, 0),
        (0, [1, 0x1_0049, 1], none, 0),
        (0, [1, 0, 0], none, 0),
        (0, [0, 1, 1], lo, 0),
        (0, [1, 1, 1], lo, 0),
        // Down, promiscuous, another size, address or name.
        (0, [1, 0, 1], none, -95),
        (0, [1, 0x100, 0x100], none, -95),
        (0, [1, 0x101, 0], none, -95),
        (0, [1, 0, 0], (4, &[0x78, 5, 0, 0]), -95),
        (0, [1, 0, 0], (1, &[2; 6]), -95),
        (0, [1, 1, 1], (NAME, b"other\0"), -95),
        // Names that end alike, and what is to be made.
        (0, [0, 1, 1], (NAME, b"hello\0"), -19),
        (0, [0, 1, 1], (4, b"lo\0"), -19),
        (CREATE | 0x200, [0, 0, 0], (NAME, b"hello\0"), -95),
        (CREATE | 0x200, [0, 0, 0], lo, -95),
    ] {
        let got = changed(NEW_LINK, flags, head, attribute);
        assert_eq!(got, answer, "{flags:#x} {head:x?} {attribute:?}");
    }
}

#[test]
fn rubbish_is_no_request() {
    assert_eq!(requests(&[0; 15]).count(), 0);
    assert_eq!(requests(&[0; 40]).count(), 0);
    assert_eq!(requests(&[0xFF; 40]).count(), 0);
}
