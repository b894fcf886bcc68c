//! `docs/syscalls.md`, made from the kernel's table of system calls.
//!
//! The table's file is one macro invocation; this file defines the macro so that the rows become
//! [`Row`]s. `cargo run -p kiln-harness --bin kiln-docs` writes the page; a test fails when it is stale.

use std::fmt::Write;

use kiln_core::strace::Arg;

/// A row of the table, as far as the page shows it.
pub struct Row {
    /// The call's number.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// How `--strace` shows its arguments.
    pub args: &'static [Arg],
    /// `Full`, `Partial`, `Stub` or `Absent`.
    pub support: &'static str,
    /// What is missing, or why.
    pub note: &'static str,
}

macro_rules! syscalls {
    ($($number:literal $name:ident($($arg:ident),*) [$($handler:tt)*] $support:ident $note:literal;)*) => {
        /// All rows, by number.
        pub(super) const ROWS: &[super::Row] = &[$(super::Row {
            number: $number,
            name: stringify!($name),
            args: &[$(super::Arg::$arg),*],
            support: stringify!($support),
            note: $note,
        }),*];
    };
}

#[path = "../../kernel/src/syscall/table.rs"]
mod table;

const LEVELS: [(&str, &str); 4] = [
    ("Full", "as Linux"),
    ("Partial", "the note says what is missing"),
    ("Stub", "answers without effect, as the note says"),
    ("Absent", "ENOSYS, and counted in the report"),
];

/// The row of the call with this number.
#[must_use]
pub fn row(number: u32) -> Option<&'static Row> {
    table::ROWS.iter().find(|row| row.number == number)
}

/// Whether the table lists a call as absent.
#[must_use]
pub fn is_absent(number: u32) -> bool {
    let row = table::ROWS.iter().find(|row| row.number == number);
    row.is_some_and(|row| row.support == "Absent")
}

/// The page.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# System calls\n\n\
         Made from `kernel/src/syscall/table.rs` by `cargo run -p kiln-harness --bin kiln-docs`; \
         change the table, not this page.\n\n",
    );
    page.push_str("| support | calls | meaning |\n| --- | --- | --- |\n");
    for (level, meaning) in LEVELS {
        let count = table::ROWS
            .iter()
            .filter(|row| row.support == level)
            .count();
        let _ = writeln!(page, "| {} | {count} | {meaning} |", level.to_lowercase());
    }
    page.push_str("\n| number | name | support | note |\n| --- | --- | --- | --- |\n");
    for row in table::ROWS {
        let support = row.support.to_lowercase();
        let _ = writeln!(
            page,
            "| {} | {} | {support} | {} |",
            row.number, row.name, row.note
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/syscalls.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == page(),
            "docs/syscalls.md is stale: run kiln-docs"
        );
    }

    #[test]
    fn every_row_has_a_level_and_numbers_ascend() {
        assert!(
            table::ROWS
                .iter()
                .all(|row| LEVELS.iter().any(|level| level.0 == row.support))
        );
        assert!(
            table::ROWS
                .windows(2)
                .all(|pair| pair[0].number < pair[1].number)
        );
    }
}
