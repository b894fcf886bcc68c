//! `--strace`: the calls that the kernel tells of, as lines like strace's.

use std::collections::HashMap;

use kiln_core::strace::{Arg, RawCall, Traced, format_call};

use crate::syscalls;

/// Thread ID of the job's main process.
const MAIN: u32 = 2;

/// Puts messages together that come in parts, thread by thread.
#[derive(Default)]
pub struct Tracer {
    parts: HashMap<u32, Vec<u8>>,
}

impl Tracer {
    /// Takes in a frame; `more`: the message goes on. Gives the call's line when it is whole, and
    /// `None` for a frame that isn't as it should be.
    pub fn take(&mut self, more: bool, payload: &[u8]) -> Option<String> {
        let (tid, part) = payload.split_first_chunk()?;
        let tid = u32::from_le_bytes(*tid);
        let mut message = self.parts.remove(&tid).unwrap_or_default();
        message.extend_from_slice(part);
        if more {
            self.parts.insert(tid, message);
            return Some(String::new());
        }
        line(&message)
    }
}

/// The line for a message, with its newline.
fn line(message: &[u8]) -> Option<String> {
    let (traced, before, after) = Traced::decode(message)?;
    let unknown = format!("syscall_{:#x}", traced.number);
    let (name, args) = match syscalls::row(traced.number) {
        Some(row) => (row.name, row.args),
        None => (unknown.as_str(), [Arg::Hex; 6].as_slice()),
    };
    let call = RawCall {
        name,
        args,
        values: traced.values,
        outcome: traced.outcome,
    };
    // As `strace -f`, which marks the others.
    let prefix = match traced.tid {
        MAIN => String::new(),
        tid => format!("[pid {tid:5}] "),
    };
    let mut line = format_call(&prefix, &call, &before, &after);
    line.push('\n');
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_core::strace::{Outcome, Pieces};

    #[test]
    fn messages_come_in_parts_and_from_several_threads() {
        let message = |tid, value| {
            let traced = Traced {
                tid,
                number: 3,
                outcome: Outcome::Value(0),
                values: [value, 0, 0, 0, 0, 0],
            };
            traced
                .encode(&Pieces::default(), &Pieces::default())
                .unwrap()
        };
        let frame = |tid: u32, part: &[u8]| [&tid.to_le_bytes(), part].concat();
        let (one, other) = (message(2, 7), message(9, 8));
        let (first, last) = one.split_at(20);
        let mut tracer = Tracer::default();
        assert_eq!(tracer.take(true, &frame(2, first)).unwrap(), "");
        let line = tracer.take(false, &frame(9, &other)).unwrap();
        assert_eq!(line, "[pid     9] close(8)                    = 0\n");
        let line = tracer.take(false, &frame(2, last)).unwrap();
        assert_eq!(line, "close(7)                                = 0\n");
        assert_eq!(tracer.take(false, b"?"), None);
        assert_eq!(tracer.take(false, &frame(2, first)), None);
    }
}
