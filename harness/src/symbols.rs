//! Names for a kernel's addresses: the record of a panic carries a backtrace as numbers, and the
//! ELF knows what lies there.

use std::path::Path;

use addr2line::Loader;
use serde_json::{Map, Value};

/// The backtrace in `record` as lines for people, innermost first; runs of the same address are
/// told once. Empty when there is none.
#[must_use]
pub fn backtrace(record: &Map<String, Value>, kernel: &Path) -> Vec<String> {
    let Some(Value::Array(words)) = record.get("backtrace") else {
        return vec![];
    };
    let addresses = words.iter().filter_map(address);
    let loader = Loader::new(kernel).ok();
    let mut lines: Vec<(u64, usize)> = Vec::new();
    for address in addresses {
        match lines.last_mut() {
            Some((last, count)) if *last == address => *count += 1,
            _ => lines.push((address, 1)),
        }
    }
    lines
        .into_iter()
        .enumerate()
        .map(|(level, (address, count))| {
            let name = loader
                .as_ref()
                .and_then(|loader| name(loader, address, level > 0));
            let times = if count > 1 {
                format!(" ({count} times)")
            } else {
                String::new()
            };
            format!("  {address:#x} {}{times}", name.unwrap_or_default())
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
