//! Generic netlink: which families there are (`nlctrl`), and what tasks have used (`TASKSTATS`,
//! Documentation/accounting/taskstats.rst). Constants are linux/genetlink.h's and linux/taskstats.h's.

use alloc::vec::Vec;

use super::{ACK, DONE, HEADER, MIN_KIND, MULTI, Message, REQUEST, Request, short, word};
use crate::errno::Errno;

/// Words of `struct taskstats`, version 13.
pub const STATS_WORDS: usize = 52;
/// `struct taskstats` in words.
pub type TaskStats = [u64; STATS_WORDS];
/// What tells what a task has used, by its number, or (`true`) a process; `None` when there is none.
pub type Meter = fn(u32, bool) -> Option<TaskStats>;

/// Bytes of both headers: attributes follow (`GENL_HDRLEN` is 4).
const HEADERS: usize = HEADER + 4;
/// `CTRL_CMD_NEWFAMILY`, `CTRL_CMD_GETFAMILY`.
const NEW_FAMILY: u8 = 1;
const GET_FAMILY: u8 = 3;
/// `TASKSTATS_CMD_GET` and its answer, `TASKSTATS_CMD_NEW`.
const GET_STATS: u8 = 1;
const NEW_STATS: u8 = 2;

/// A family, as it is told.
struct Family {
    name: &'static [u8],
    id: u16,
    version: u8,
    attributes: u8,
    /// Its one command, and how that may be given (`GENL_ADMIN_PERM` 1, `GENL_CMD_CAP_DO` 2, `_DUMP` 4,
    /// `_HASPOL` 8).
    command: (u8, u8),
}

/// The first has a fixed number (`GENL_ID_CTRL`), others the next ones that are free (`GENL_START_ALLOC`).
static FAMILIES: [Family; 2] = [
    Family {
        name: b"nlctrl\0",
        id: 16,
        version: 2,
        attributes: 10,
        command: (GET_FAMILY, 14),
    },
    Family {
        name: b"TASKSTATS\0",
        id: 19,
        version: 1,
        attributes: 4,
        command: (GET_STATS, 11),
    },
];

impl Request<'_> {
    /// The value of an attribute of this kind, if the request has one.
    fn attribute(&self, kind: u16) -> Option<&[u8]> {
        let mut all = self.attributes(HEADERS);
        all.find_map(|(own, value)| (own == kind).then_some(value))
    }

    /// Answers it as generic netlink does; `meter` is for those who may ask (`CAP_NET_ADMIN`).
    #[must_use]
    pub fn answer_generic(&self, port: u32, may: bool, meter: Meter) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        let asks = self.flags & REQUEST != 0 && self.kind >= MIN_KIND;
        let done = match self.raw.get(HEADER).copied() {
            _ if !asks => Ok(()),
            None => Err(Errno::EINVAL),
            Some(command) => {
                let found = FAMILIES.iter().find(|family| family.id == self.kind);
                match found {
                    None => Err(Errno::ENOENT),
                    Some(family) if family.command.0 != command => Err(Errno::EOPNOTSUPP),
                    Some(_) if command == GET_FAMILY => self.families(port, &mut answers),
                    Some(_) if !may => Err(Errno::EPERM),
                    Some(_) => self.stats(port, meter, &mut answers),
                }
            }
        };
        match done {
            Ok(()) if self.flags & ACK == 0 => {}
            Ok(()) => answers.push(self.error(0, port)),
            Err(errno) => answers.push(self.error(errno.number(), port)),
        }
        answers
    }

    fn families(&self, port: u32, answers: &mut Vec<Vec<u8>>) -> Result<(), Errno> {
        let mut out = Vec::new();
        if self.is_dump() {
            for family in &FAMILIES {
                self.family_told(family, MULTI, port, &mut out);
            }
            answers.push(out);
            let mut end = Vec::new();
            Message::begin(&mut end, DONE, MULTI, self, port).put(&[0; 4]);
            answers.push(end);
            return Ok(());
        }
        let id = self.attribute(1).map(|value| short(value, 0));
        let name = self.attribute(2);
        if id.is_none() && name.is_none() {
            return Err(Errno::EINVAL);
        }
        let terminated = |wanted: &[u8], name: &[u8]| {
            wanted.split(|byte| *byte == 0).next() == name.split_last().map(|(_, name)| name)
        };
        let found = FAMILIES
            .iter()
            .find(|family| match name {
                Some(name) => terminated(name, family.name),
                None => id == Some(family.id),
            })
            .ok_or(Errno::ENOENT)?;
        self.family_told(found, 0, port, &mut out);
        answers.push(out);
        Ok(())
    }

    fn family_told(&self, family: &Family, flags: u16, port: u32, out: &mut Vec<u8>) {
        let mut message = Message::begin(out, 16, flags, self, port);
        message.put(&[NEW_FAMILY, 2, 0, 0]);
        message.attribute(2, family.name);
        message.attribute(1, &family.id.to_le_bytes());
        message.attribute(3, &u32::from(family.version).to_le_bytes());
        message.attribute(4, &[0; 4]);
        message.attribute(5, &u32::from(family.attributes).to_le_bytes());
        // A list of one command: its number and its flags.
        let (number, flags) = family.command;
        let command = [
            20, 0, 1, 0, 8, 0, 1, 0, number, 0, 0, 0, 8, 0, 2, 0, flags, 0, 0, 0,
        ];
        message.attribute(6, &command);
    }

    fn stats(&self, port: u32, meter: Meter, answers: &mut Vec<Vec<u8>>) -> Result<(), Errno> {
        // A thread is asked for by the first kind of attribute, a process by the second.
        let number = |kind| self.attribute(kind).map(|value| word(value, 0));
        let (kind, id) = match (number(1), number(2)) {
            (Some(id), _) => (1u16, id),
            (None, Some(id)) => (2, id),
            (None, None) => return Err(Errno::EINVAL),
        };
        let stats = meter(id, kind == 2).ok_or(Errno::ESRCH)?;
        let mut inner = Vec::new();
        inner.extend_from_slice(&8u16.to_le_bytes());
        inner.extend_from_slice(&kind.to_le_bytes());
        inner.extend_from_slice(&id.to_le_bytes());
        // TASKSTATS_TYPE_STATS.
        inner.extend_from_slice(
            &crate::num::low16(crate::num::u64_of(4 + 8 * STATS_WORDS)).to_le_bytes(),
        );
        inner.extend_from_slice(&3u16.to_le_bytes());
        for word in stats {
            inner.extend_from_slice(&word.to_le_bytes());
        }
        let mut out = Vec::new();
        let mut message = Message::begin(&mut out, self.kind, 0, self, port);
        message.put(&[NEW_STATS, 1, 0, 0]);
        // TASKSTATS_TYPE_AGGR_PID, TASKSTATS_TYPE_AGGR_TGID.
        message.attribute(kind + 3, &inner);
        drop(message);
        answers.push(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::requests;
    use super::*;

    fn meter(id: u32, whole: bool) -> Option<TaskStats> {
        (id == 7).then_some([u64::from(whole); STATS_WORDS])
    }

    fn ask(kind: u16, flags: u16, command: u8, attribute: u16, value: &[u8]) -> Vec<u8> {
        let mut raw = alloc::vec![0; HEADERS];
        raw[4..6].copy_from_slice(&kind.to_le_bytes());
        raw[6..8].copy_from_slice(&(flags | REQUEST).to_le_bytes());
        raw[HEADER] = command;
        if attribute != 0 {
            raw.extend_from_slice(&((4 + value.len()) as u16).to_le_bytes());
            raw.extend_from_slice(&attribute.to_le_bytes());
            raw.extend_from_slice(value);
            raw.resize(raw.len().next_multiple_of(4), 0);
        }
        let length = raw.len() as u32;
        raw[..4].copy_from_slice(&length.to_le_bytes());
        raw
    }

    fn answers(raw: &[u8], may: bool) -> Vec<Vec<u8>> {
        let request = requests(raw).next().expect("a request");
        request.answer_generic(5, may, meter)
    }

    fn error(answers: &[Vec<u8>]) -> i32 {
        assert_eq!(short(&answers[0], 4), 2);
        word(&answers[0], HEADER).cast_signed()
    }

    #[test]
    fn families_are_found_by_name_and_number() {
        let by_name = answers(&ask(16, 0, GET_FAMILY, 2, b"TASKSTATS\0"), false);
        let by_number = answers(&ask(16, 0, GET_FAMILY, 1, &19u16.to_le_bytes()), false);
        assert_eq!(by_name, by_number);
        let told = requests(&by_name[0]).next().expect("one");
        assert_eq!(told.attribute(1), Some(&19u16.to_le_bytes()[..]));
        assert_eq!(
            error(&answers(&ask(16, 0, GET_FAMILY, 2, b"TASK\0"), false)),
            -2
        );
        assert_eq!(error(&answers(&ask(16, 0, GET_FAMILY, 0, b""), false)), -22);
        assert_eq!(error(&answers(&ask(17, 0, 1, 0, b""), true)), -2);
        let all = answers(&ask(16, 0x300, GET_FAMILY, 0, b""), false);
        assert_eq!(requests(&all[0]).count(), 2);
    }

    #[test]
    fn usage_is_told_to_those_who_may_ask() {
        let raw = ask(19, 0, GET_STATS, 1, &7u32.to_le_bytes());
        let told = answers(&raw, true);
        assert_eq!(told[0].len(), HEADERS + 4 + 8 + 4 + 8 * STATS_WORDS);
        assert_eq!(error(&answers(&raw, false)), -1);
        let other = ask(19, 0, GET_STATS, 2, &8u32.to_le_bytes());
        assert_eq!(error(&answers(&other, true)), -3);
        assert_eq!(error(&answers(&ask(19, 0, 9, 0, b""), true)), -95);
    }

    #[test]
    fn attributes_that_lie_end_the_search() {
        let mut raw = ask(16, 0, GET_FAMILY, 2, b"TASKSTATS\0");
        raw[HEADERS] = 200;
        assert_eq!(error(&answers(&raw, false)), -22);
        raw[HEADERS] = 0;
        assert_eq!(error(&answers(&raw, false)), -22);
    }
}
