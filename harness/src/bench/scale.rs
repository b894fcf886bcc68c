//! `bench.sh scale`: how the cost of an operation grows with what surrounds it (processes, open files, mappings,
//! names, timers, waiters: 1 to 10,000 of them), and the boot's with memory.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

use super::boot;
use super::micro::{self, Row};

/// Enough for 10,000 processes.
const MEMORY: &str = "3G";
/// What the boot is tried with.
const SIZES: [&str; 5] = ["64M", "256M", "1G", "4G", "8G"];
/// Growth up to here is noise, or a tree's height.
const GROWTH: f64 = 1.5;

/// Measures and prints; gives the figures as JSON.
///
/// # Errors
/// As those of [`micro::run`] and [`boot::run`].
pub fn run(micro: &micro::Inputs, boot: &boot::Inputs) -> Result<Value> {
    let (rows, peer) = micro::measure(micro, MEMORY)?;
    micro::print(&rows, peer);
    println!();
    print_growth(&rows);
    println!();
    let memory = with_memory(boot)?;
    Ok(json!({ "measures": micro::to_json(&rows, peer), "memory": memory }))
}

/// The measures with their rows, from the fewest to the most.
fn series(rows: &[Row]) -> BTreeMap<&str, Vec<&Row>> {
    let mut series: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        if let Some((name, _)) = row.name.split_once('@') {
            series.entry(name).or_default().push(row);
        }
    }
    series
}

/// Instructions with the most for one with the fewest.
fn growth(rows: &[&Row], side: usize) -> Option<f64> {
    let values = rows.iter().filter_map(|row| *row.instructions.get(side)?);
    let values: Vec<f64> = values.collect();
    Some(values.last()? / values.first()?)
}

fn print_growth(rows: &[Row]) {
    println!(
        "{:<26} {:>12} {:>12}",
        "instructions grow by", "Kiln", "Linux"
    );
    for (name, rows) in series(rows) {
        let [kiln, linux] = [0, 1].map(|side| growth(&rows, side));
        let shown = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
        };
        let worse = kiln
            .is_some_and(|kiln| kiln > GROWTH && linux.is_none_or(|linux| kiln > linux * GROWTH));
        let mark = if worse { "  <- grows" } else { "" };
        println!("{name:<26} {:>12} {:>12}{mark}", shown(kiln), shown(linux));
    }
}

/// The boot's counts with each size.
fn with_memory(inputs: &boot::Inputs) -> Result<Value> {
    let scratch = tempfile::tempdir()?;
    let guests = [
        boot::kiln_guest(inputs, scratch.path())?,
        boot::linux_guest(inputs, scratch.path())?,
    ];
    println!(
        "{:<8} {:<14} {:>16} {:>16} {:>10}",
        "memory", "guest", "insns to user", "insns in all", "wall ms"
    );
    let mut found = Vec::new();
    for size in SIZES {
        for guest in &guests {
            let (Ok(wall), Ok(counts)) = (
                guest.boot(size),
                guest.count(size, &inputs.plugin, scratch.path()),
            ) else {
                println!("{size:<8} {:<14} doesn't boot", guest.name);
                continue;
            };
            let (to_user, all) = (counts.executed[1], counts.executed.iter().sum::<u64>());
            let wall = wall.as_secs_f64() * 1e3;
            println!(
                "{size:<8} {:<14} {to_user:>16} {all:>16} {wall:>10.0}",
                guest.name
            );
            found.push(json!({ "memory": size, "guest": guest.name, "to_user": to_user, "in_all": all, "ms": wall }));
        }
    }
    Ok(Value::Array(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_from_the_fewest_to_the_most() {
        let row = |name: &str, kiln, linux| Row {
            name: name.to_owned(),
            instructions: [kiln, linux],
            wall: [None; 2],
        };
        let rows = [
            row("open@1", Some(2.0), Some(1.0)),
            row("open@100", Some(3.0), None),
            row("open@1000", Some(8.0), Some(4.0)),
            row("alone", Some(1.0), Some(1.0)),
        ];
        let series = series(&rows);
        assert_eq!(series.len(), 1);
        assert_eq!(growth(&series["open"], 0), Some(4.0));
        assert_eq!(growth(&series["open"], 1), Some(4.0));
        assert_eq!(growth(&[], 0), None);
    }
}
