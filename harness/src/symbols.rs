//! Names for a kernel's addresses: the record of a panic carries words of the stack, `unwind` finds
//! the callers among them, and the ELF knows what lies there.

use std::path::Path;

use addr2line::Loader;
use serde_json::{Map, Value};

use crate::unwind::{Caller, callers};

/// The backtrace in `record` as lines for people, innermost first; runs of the same address are
/// told once, and what is a guess has a question mark. Empty when there is none.
#[must_use]
pub fn backtrace(record: &Map<String, Value>, kernel: &Path) -> Vec<String> {
    let (Some(rip), Some(Value::Array(words))) =
        (record.get("rip").and_then(address), record.get("callers"))
    else {
        return vec![];
    };
    let words = words
        .iter()
        .filter_map(|word| match word.as_array()?.as_slice() {
            [place, word] => Some((address(place)?, address(word)?)),
            _ => None,
        });
    let loader = Loader::new(kernel).ok();
    let mut lines: Vec<(u64, bool, usize)> = vec![(rip, false, 1)];
    for Caller { address, guessed } in callers(kernel, rip, &words.collect()) {
        match lines.last_mut() {
            Some((last, _, count)) if *last == address => *count += 1,
            _ => lines.push((address, guessed, 1)),
        }
    }
    lines
        .into_iter()
        .enumerate()
        .map(|(level, (address, guessed, count))| {
            let name = loader
                .as_ref()
                .and_then(|loader| name(loader, address, level > 0));
            let mark = if guessed { "? " } else { "" };
            let times = if count > 1 {
                format!(" ({count} times)")
            } else {
                String::new()
            };
            format!("  {address:#x} {mark}{}{times}", name.unwrap_or_default())
        })
        .collect()
}

fn address(word: &Value) -> Option<u64> {
    match word {
        Value::String(text) => u64::from_str_radix(text.strip_prefix("0x")?, 16).ok(),
        word => word.as_u64(),
    }
}

/// Function, file and line. A return address lies behind the call, perhaps in the next function.
fn name(loader: &Loader, address: u64, returns: bool) -> Option<String> {
    let address = address.checked_sub(u64::from(returns))?;
    let mut frames = loader.find_frames(address).ok()?;
    let mut names = Vec::new();
    while let Ok(Some(frame)) = frames.next() {
        let function = frame
            .function
            .and_then(|function| Some(function.demangle().ok()?.into_owned()));
        let place = frame.location.and_then(|location| {
            let file = Path::new(location.file?)
                .file_name()?
                .to_string_lossy()
                .into_owned();
            Some(format!("{file}:{}", location.line.unwrap_or(0)))
        });
        names.extend(match (function, place) {
            (Some(function), Some(place)) => Some(format!("{function} ({place})")),
            (function, place) => function.or(place),
        });
    }
    if names.is_empty() {
        let symbol = loader.find_symbol(address)?;
        names.push(addr2line::demangle_auto(symbol.into(), None).into_owned());
    }
    Some(names.join(" in "))
}
